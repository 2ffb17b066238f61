"""Google Analytics: visitors, visits, key events and revenue of a website, by day and by where visitors came from."""

import re

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import METRIC, figure, present, text


def convert(raw: RawRecord) -> Record:
    """One figure of one day and source. One that the user's role hides comes without a value, and is `restricted`."""
    dimensions = present((("source", text(raw, "sessionSource")), ("medium", text(raw, "sessionMedium"))))
    fields = present(
        (
            ("name", text(raw, "metric")),
            ("value", figure(raw.get("value"))),
            ("restricted", bool(raw.get("restriction")) or None),
            ("unit", text(raw, "currency")),
            ("date", _day(text(raw, "date"))),
            ("dimensions", dimensions),
        )
    )
    return {"id": raw["id"], "type": "metric", "deleted": False, "period": "day", **fields}


def _day(date: str | None) -> str | None:
    """`20261101` as 2026-11-01; rows that make up the rest, `(other)`, have no day."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", date or "", re.ASCII)
    return "-".join(found.groups()) if found else None


CONNECTOR = Connector(
    name="google_analytics",
    provider="google",
    type="metric",
    reads=Reads(
        "traffic",
        required=("date", "metric", "value", "restriction"),
        optional=("sessionSource", "sessionMedium", "currency"),
    ),
    convert=convert,
    schema=METRIC,
    titles={"en": "Google Analytics", "id": "Google Analytics"},
    choices=Reads("properties", required=("displayName",)),
)
