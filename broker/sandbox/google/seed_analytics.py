"""The Analytics accounts of the seed, and what each property measured (docs/facts/google.md §5.6).

What was measured is a table of facts, made day by day when a report asks: reports of whatever dimensions add up.
"""

import zlib
from collections.abc import Iterator, Mapping
from datetime import date

from broker.sandbox.listing import Record

FIRST_DAY = date(2024, 1, 1)
"""Nothing was measured earlier."""

CHANNELS = (("Organic Search", "google", "organic"), ("Direct", "(direct)", "(none)"), ("Paid Search", "google", "cpc"))
COUNTRIES = (("Indonesia", "Jakarta"), ("Indonesia", "Bandung"), ("Indonesia", "Surabaya"), ("Singapore", "Singapore"))
PAGES = ("/", "/katalog", "/kontak", "/keranjang", "/blog/kopi")
DEVICES = ("mobile", "desktop", "tablet")
A_DAY = 12
"""Facts of one day; the last of them counts nothing."""

COUNTED = {"sessions": 40, "activeUsers": 30, "newUsers": 12, "screenPageViews": 90, "eventCount": 300, "keyEvents": 5}
"""Metrics that are counted, and how much a fact holds at most."""
REVENUE = {"purchaseRevenue": 900_000, "totalRevenue": 1_000_000}
COST = {"advertiserAdCost": 70_000}


def account(number: int, name: str, *properties: Record) -> Record:
    return {"id": str(number), "displayName": name, "properties": list(properties)}


def a_property(number: int, name: str, *hidden: str) -> Record:
    """`hidden`: the kinds of metrics that the user's role does not show, REVENUE_DATA and COST_DATA."""
    return {"id": str(number), "displayName": name, "hidden": list(hidden)}


ACCOUNTS: Mapping[str, tuple[Record, ...]] = {
    "ani@example.com": (
        account(410001, "Toko Ani", a_property(510001, "Toko Ani web"), a_property(510002, "Kasir", "REVENUE_DATA")),
        account(410002, "Ani Catering", a_property(510003, "Ani Catering web")),
    ),
    "budi@example.com": (account(410011, "Bengkel Budi", a_property(510011, "Bengkel Budi web")),),
}
"""By address; `Kasir` is a property with NO_REVENUE_METRICS."""


def numbered(number: int) -> Record:
    """One of the many accounts that a control call makes."""
    return account(420_000 + number, f"Account {number}", a_property(520_000 + number, f"Property {number}"))


def facts(property_id: str, day: date) -> Iterator[tuple[dict[str, str], dict[str, int]]]:
    """What was measured on a day: the dimensions and the metrics of each fact."""
    for place in range(A_DAY):
        channel, source, medium = CHANNELS[place % len(CHANNELS)]
        last = place == A_DAY - 1
        country, city = ("Malaysia", "Ipoh") if last else COUNTRIES[place % len(COUNTRIES)]
        dimensions = {
            "date": day.strftime("%Y%m%d"),
            "sessionDefaultChannelGroup": channel,
            "sessionSource": source,
            "sessionMedium": medium,
            "country": country,
            "city": city,
            "deviceCategory": DEVICES[place // 2 % len(DEVICES)],
            "pagePath": PAGES[place % len(PAGES)],
        }
        seed = zlib.crc32(f"{property_id} {day} {place}".encode())
        metrics = {name: 0 if last else 1 + seed % most for name, most in (COUNTED | REVENUE | COST).items()}
        yield dimensions, metrics


DIMENSIONS = frozenset(next(facts("", FIRST_DAY))[0]) | {"dateRange"}
HIDDEN_BY = {**dict.fromkeys(REVENUE, "REVENUE_DATA"), **dict.fromkeys(COST, "COST_DATA")}
"""Which restriction hides a metric."""
TYPES = {
    **dict.fromkeys(COUNTED, "TYPE_INTEGER"),
    **dict.fromkeys((*REVENUE, *COST), "TYPE_CURRENCY"),
    "viewsPerSession": "TYPE_FLOAT",
}
"""Every metric; the last is a ratio of two others."""
