"""Instagram insights: figures of the user's professional account, day by day."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import METRIC, figure, present, text


def convert(raw: RawRecord) -> Record:
    """One figure of one day. Its id stays: a figure that Instagram corrects later replaces the one before."""
    fields = present(
        (
            ("name", text(raw, "name")),
            ("value", figure(raw.get("value"))),
            ("period", text(raw, "period")),
            ("date", text(raw, "date")),
        )
    )
    return {"id": raw["id"], "type": "metric", "deleted": False, **fields}


CONNECTOR = Connector(
    name="instagram_insights",
    provider="instagram",
    type="metric",
    reads=Reads("insights", required=("name", "value", "period", "date")),
    convert=convert,
    schema=METRIC,
    titles={"en": "Instagram insights", "id": "Statistik Instagram"},
)
