"""The Business Profile of the seed: accounts, places, and how often these were found (docs/facts/google.md §5.7)."""

import zlib
from collections.abc import Mapping
from datetime import date

from broker.sandbox.google.seed_files import CITIES
from broker.sandbox.listing import Record

METRICS = (
    *("BUSINESS_IMPRESSIONS_DESKTOP_MAPS", "BUSINESS_IMPRESSIONS_DESKTOP_SEARCH", "BUSINESS_IMPRESSIONS_MOBILE_MAPS"),
    *("BUSINESS_IMPRESSIONS_MOBILE_SEARCH", "BUSINESS_CONVERSATIONS", "BUSINESS_DIRECTION_REQUESTS", "CALL_CLICKS"),
    *("WEBSITE_CLICKS", "BUSINESS_BOOKINGS", "BUSINESS_FOOD_ORDERS", "BUSINESS_FOOD_MENU_CLICKS"),
)
UNUSED = {"BUSINESS_BOOKINGS", "BUSINESS_FOOD_ORDERS"}
"""Metrics that are zero on each day."""

PERSONAL, GROUP = "PERSONAL", "LOCATION_GROUP"

ACCOUNTS: Mapping[str, tuple[tuple[str, str, str, int, int], ...]] = {
    "ani@example.com": (
        ("610001", "Ani Wijaya", PERSONAL, 710_001, 2),
        ("610002", "Toko Ani", GROUP, 710_101, 12),
    ),
    "budi@example.com": (("610011", "Budi Santoso", PERSONAL, 710_901, 1),),
}
"""By address: id, name, kind, number of the first location, how many."""


def account(key: str, name: str, kind: str) -> Record:
    return {
        "name": f"accounts/{key}",
        "accountName": name,
        "type": kind,
        **({"role": "PRIMARY_OWNER"} if kind == GROUP else {}),
        "verificationState": "UNVERIFIED",
        "vettedState": "NOT_VETTED",
    }


def location(name: str, account_name: str, number: int) -> Record:
    """A place of business; `account` is whose it is, which no answer tells."""
    city = CITIES[number % len(CITIES)]
    return {
        "account": account_name,
        "name": name,
        "languageCode": "id",
        "storeCode": f"T{number}",
        "title": f"Toko Ani {city} {number}",
        "phoneNumbers": {"primaryPhone": f"0812-5551-{number % 10_000:04}"},
        "categories": {"primaryCategory": {"name": "categories/gcid:coffee_store", "displayName": "Coffee store"}},
        "storefrontAddress": {"regionCode": "ID", "locality": city, "addressLines": [f"Jl. Anggrek {number}"]},
        "websiteUri": f"https://toko-ani.example/{number}",
        "openInfo": {"status": "OPEN", "canReopen": True},
        "profile": {"description": f"Coffee and tea in {city}"},
        "metadata": {"placeId": f"ChIJ{number}", "mapsUri": f"https://maps.google.com/?cid={number}"},
    }


LOCATION_FIELDS = frozenset(location("", "", 0)) - {"account"} | {
    *("latlng", "regularHours", "specialHours", "serviceArea", "labels", "adWordsLocationExtensions", "moreHours"),
    *("relationshipData", "serviceItems"),
}


def seen(location_name: str, metric: str, day: date) -> int:
    """How often on a day; none at all on some."""
    if metric in UNUSED:
        return 0
    return max(0, zlib.crc32(f"{location_name} {metric} {day}".encode()) % 40 - 4)
