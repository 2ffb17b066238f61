"""Google Business Profile: how often a place of business was found, called and visited, day by day."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import METRIC, figure, present, text


def convert(raw: RawRecord) -> Record:
    """One figure of one day."""
    name = text(raw, "metric")
    fields = present(
        (
            ("name", name.lower() if name else None),
            ("value", figure(raw.get("value"))),
            ("date", text(raw, "date")),
        )
    )
    return {"id": raw["id"], "type": "metric", "deleted": False, "period": "day", **fields}


CONNECTOR = Connector(
    name="google_business_performance",
    provider="google",
    type="metric",
    reads=Reads("performance", required=("date", "metric", "value")),
    convert=convert,
    schema=METRIC,
    titles={"en": "Google Business Profile: performance", "id": "Google Profil Bisnis: performa"},
    choices=Reads("locations", required=("title",)),
)
