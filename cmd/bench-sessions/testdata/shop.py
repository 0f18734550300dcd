"""The world that the peers serve: that of astra's arena `inventory`, with the same catalogue,
the same search, and for each session the same kinds of stock and orders, drawn from its seed."""

import datetime
import json
import os
import random
import re

import stops

stops.watch(os.environ["ASTRA_BENCH_STOPS"])
with open(os.path.join(os.environ["ASTRA_BENCH_DATA"], "items.json")) as f:
    ITEMS = json.load(f)
with open(os.path.join(os.environ["ASTRA_BENCH_DATA"], "places.json")) as f:
    PLACES = json.load(f)

DESCRIPTION = "Searches the catalogue. Every word of the query must occur in an item's name, SKU or category."
TODAY = datetime.date(2026, 3, 2)


class Shop:
    """What one session has: what setup in the arena's tools.js makes."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.warehouses = PLACES["warehouses"][:4]
        self.stock = self._fill()
        self.orders = [self._order(i) for i in range(4)]

    def _fill(self):
        stock = {w["code"]: {} for w in self.warehouses}
        for item in ITEMS:
            home = self.draw.choice(self.warehouses)["code"]
            seen = set()
            for code, levels in stock.items():
                on_hand = self.draw.randint(400, 800) if code == home else self.draw.randint(40, 180)
                level = {"on_hand": on_hand, "reserved": int(on_hand * 0.2 * self.draw.random()), "reorder_point": self.draw.randint(4, 10) * 10}
                distinct(level, seen)
                levels[item["sku"]] = level
        for code in stock:
            self._starve(stock, code)
        return stock

    def _starve(self, stock, code):
        plenty = [i["sku"] for i in ITEMS if all(s[i["sku"]]["on_hand"] >= 40 for s in stock.values()) and stock[code][i["sku"]]["on_hand"] < 400]
        sku = self.draw.choice(plenty)
        level = {"on_hand": self.draw.randint(3, 9), "reserved": 0, "reorder_point": self.draw.randint(15, 19) * 10}
        distinct(level, {s[sku]["on_hand"] - s[sku]["reserved"] for c, s in stock.items() if c != code})
        stock[code][sku] = level

    def _order(self, i):
        item = self.draw.choice(ITEMS)
        quantity = item["pack"] * self.draw.randint(2, 8)
        full = item["price"] * quantity
        percent = next((d["percent"] for d in PLACES["discounts"] if full >= d["from"]), 0)
        arrives = TODAY + datetime.timedelta(days=1 + 2 * i + self.draw.randint(0, 1))
        return {
            "sku": item["sku"],
            "warehouse": self.draw.choice(self.warehouses)["code"],
            "quantity": quantity,
            "total": round(full * (1 - percent / 100), 2),
            "arrives": arrives.isoformat(),
        }

    def find_items(self, query="", category=None):
        words = [w for w in re.split(r"[^a-z0-9.]+", query.lower()) if w]
        found = []
        for item in ITEMS:
            text = f"{item['sku']} {item['name']} {item['category']}".lower()
            if (not category or item["category"] == category) and all(w in text for w in words):
                found.append({**item, "supplier": PLACES["suppliers"][item["supplier"]]["name"]})
        if not found:
            raise LookupError("No item matches. Try fewer or shorter words, or only a category.")
        return {"total": len(found), "items": found}


def distinct(level, seen):
    while level["on_hand"] - level["reserved"] in seen:
        level["on_hand"] += 1
    seen.add(level["on_hand"] - level["reserved"])
