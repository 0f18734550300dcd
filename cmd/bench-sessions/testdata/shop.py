"""The world that the peers serve: the same catalogue as astra's arena `inventory`, the same
search, and for each session a stock of its own, drawn from its seed."""

import json
import os
import random
import re

with open(os.path.join(os.environ["ASTRA_BENCH_DATA"], "items.json")) as f:
    ITEMS = json.load(f)
with open(os.path.join(os.environ["ASTRA_BENCH_DATA"], "places.json")) as f:
    PLACES = json.load(f)

DESCRIPTION = "Searches the catalogue. Every word of the query must occur in an item's name, SKU or category."


class Shop:
    """What one session has."""

    def __init__(self, seed):
        draw = random.Random(seed)
        self.stock = {w["code"]: {i["sku"]: self._level(draw) for i in ITEMS} for w in PLACES["warehouses"][:4]}

    @staticmethod
    def _level(draw):
        on_hand = draw.randint(40, 180)
        return {"on_hand": on_hand, "reserved": int(on_hand * 0.2 * draw.random()), "reorder_point": draw.randint(4, 10) * 10}

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
