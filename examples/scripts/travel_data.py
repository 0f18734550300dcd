#!/usr/bin/env python3
"""Writes the data files of the travel arena from Debian's tzdata and iso-codes packages.

    apt-get install tzdata iso-codes
    python3 examples/scripts/travel_data.py examples/arenas/travel/data

Equal packages give equal bytes. What is read:

    /usr/share/zoneinfo/zone.tab                principal place of each zone of each country (public domain)
    /usr/share/zoneinfo/iso3166.tab             short English names of countries (public domain)
    /usr/share/zoneinfo/<zone>                  offsets from UTC (public domain)
    /usr/share/iso-codes/json/iso_3166-{1,2}.json  countries, and how they are divided (LGPL-2.1-or-later)
    /usr/share/common-licenses/LGPL-2.1         the licence text that goes with the latter

Only the network is invented (network.json): a few hubs fly to each other, every other
place to its two nearest hubs, Antarctica to nowhere.

The tools have no time zone database: a place gets the one offset that it keeps throughout
FIRST..LAST, the days for which the arena sells seats. A zone that changes its clocks
between them stops the script: choose other days.
"""

import collections
import datetime
import json
import math
import pathlib
import re
import shutil
import sys
import zoneinfo

FIRST = datetime.date(2026, 6, 1)  # the arena's `now`
LAST = datetime.date(2026, 7, 3)   # 30 days of flights, and the longest of them

HUBS = (
    "Africa/Johannesburg", "Africa/Nairobi", "America/Los_Angeles", "America/New_York", "America/Panama",
    "America/Sao_Paulo", "Asia/Dubai", "Asia/Hong_Kong", "Asia/Kolkata", "Asia/Singapore", "Asia/Tokyo",
    "Australia/Sydney", "Europe/Istanbul", "Europe/London", "Pacific/Auckland",
)

ZONES = pathlib.Path("/usr/share/zoneinfo")
CODES = pathlib.Path("/usr/share/iso-codes/json")
LGPL = pathlib.Path("/usr/share/common-licenses/LGPL-2.1")


def table(path):
    """The rows of one of tzdata's tab-separated tables."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def degrees(text):
    """Reads ±DDMM, ±DDDMM, ±DDMMSS or ±DDDMMSS (ISO 6709)."""
    digits = text[1:]
    seconds = 0 if len(digits) < 6 else int(digits[-2:])
    if len(digits) >= 6:
        digits = digits[:-2]
    value = int(digits[:-2]) + int(digits[-2:]) / 60 + seconds / 3600
    return round(-value if text[0] == "-" else value, 4)


def offset(zone):
    """Minutes that a zone is ahead of UTC, at all hours between FIRST and LAST."""
    clock = zoneinfo.ZoneInfo(zone)
    start = datetime.datetime.combine(FIRST, datetime.time(), datetime.timezone.utc)
    hours = (LAST - FIRST).days * 24
    found = {(start + datetime.timedelta(hours=h)).astimezone(clock).utcoffset() for h in range(hours + 1)}
    if len(found) != 1:
        sys.exit(f"{zone} changes its clocks between {FIRST} and {LAST}: choose other days")
    return int(found.pop().total_seconds()) // 60


def places():
    """Rows of code, city, country, zone, latitude, longitude, offset; sorted by code."""
    seen = collections.Counter()
    rows = []
    for country, position, zone, *_ in table(ZONES / "zone.tab"):
        seen[country] += 1
        latitude, longitude = re.fullmatch(r"([+-]\d+)([+-]\d+)", position).groups()
        city = zone.rsplit("/", 1)[1].replace("_", " ")
        code = f"{country}{seen[country]:02}"
        rows.append([code, city, country, zone, degrees(latitude), degrees(longitude), offset(zone)])
    return sorted(rows)


def kilometres(a, b):
    """Distance of two places of places() along the great circle."""
    lat1, lon1, lat2, lon2 = (math.radians(x) for x in (a[4], a[5], b[4], b[5]))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371 * math.asin(math.sqrt(h))


def network(rows):
    """The hubs' codes, and rows of code, nearest hub, second nearest hub."""
    hubs = [row for row in rows if row[3] in HUBS]
    if len(hubs) != len(HUBS):
        sys.exit("a hub is not in zone.tab, or is there twice")
    gateways = []
    for row in rows:
        if row not in hubs and row[2] != "AQ":
            nearest = sorted(hubs, key=lambda hub: (kilometres(row, hub), hub[0]))
            gateways.append([row[0], nearest[0][0], nearest[1][0]])
    return [hub[0] for hub in hubs], gateways


def countries():
    """Rows of alpha-2, alpha-3, number, short name, name, official name, {kind: parts}; sorted."""
    short = dict(row[:2] for row in table(ZONES / "iso3166.tab"))
    parts = collections.defaultdict(collections.Counter)
    for part in json.loads((CODES / "iso_3166-2.json").read_text(encoding="utf-8"))["3166-2"]:
        parts[part["code"][:2]][part["type"]] += 1
    rows = []
    for c in json.loads((CODES / "iso_3166-1.json").read_text(encoding="utf-8"))["3166-1"]:
        code, name = c["alpha_2"], c["name"]
        official = c.get("official_name", name)
        rows.append([code, c["alpha_3"], c["numeric"], short.get(code, name), name, official, dict(sorted(parts[code].items()))])
    return sorted(rows)


def write(path, head, columns, rows):
    """One row a line, so that a change of the packages reads well in a diff."""
    head = "".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)},\n" for k, v in {**head, "columns": columns}.items())
    lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("{\n" + head + '  "rows": [\n' + lines + "\n  ]\n}\n", encoding="utf-8")


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    rows = places()
    hubs, gateways = network(rows)
    write(out / "network.json", {"notice": "Invented for the arena.", "hubs": hubs}, ["code", "gateway", "other_gateway"], gateways)
    write(
        out / "places.json",
        {"notice": f"From the IANA time zone database, which is in the public domain. Offsets hold from {FIRST} to {LAST}. Codes are the arena's own."},
        ["code", "city", "country", "zone", "latitude", "longitude", "offset_minutes"],
        rows,
    )
    write(
        out / "countries.json",
        {"notice": "Converted from Debian's iso-codes (ISO 3166-1 and 3166-2; copyright Alastair McKinstry, Christian Perrier, Dr. Tobias "
                   "Quathamer; LGPL-2.1-or-later, text in LGPL-2.1.txt); short names from the IANA time zone database (public domain)."},
        ["code", "alpha3", "number", "short_name", "name", "official_name", "divisions"],
        countries(),
    )
    shutil.copyfile(LGPL, out / "LGPL-2.1.txt")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: travel_data.py DIRECTORY")
    main(pathlib.Path(sys.argv[1]))
