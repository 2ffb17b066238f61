"""Instagram inbox: what people and the user's professional account write to each other."""

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import MESSAGE, entries, moment, party, present, text


def convert(raw: RawRecord) -> Record:
    """One message of a conversation."""
    receivers = raw.get("to")
    listed = receivers.get("data") if isinstance(receivers, dict) else None
    fields = present(
        (
            ("thread", text(raw, "conversation_id")),
            ("from", party(raw.get("from"))),
            ("to", [found for one in entries(listed) if (found := party(one))]),
            ("text", text(raw, "message")),
            ("sent_at", moment(raw, "created_time")),
        )
    )
    return {"id": raw["id"], "type": "message", "deleted": False, **fields}


CONNECTOR = Connector(
    name="instagram_inbox",
    provider="instagram",
    type="message",
    reads=Reads("messages", required=("message", "from", "to", "created_time")),
    convert=convert,
    schema=MESSAGE,
    titles={"en": "Instagram inbox", "id": "Kotak masuk Instagram"},
)
