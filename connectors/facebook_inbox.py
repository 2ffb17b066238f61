"""Facebook inbox: what people and a Page of the user's write to each other at Messenger."""

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
    name="facebook_inbox",
    provider="facebook",
    type="message",
    reads=Reads("messages", required=("message", "from", "to", "created_time")),
    convert=convert,
    schema=MESSAGE,
    titles={"en": "Facebook inbox", "id": "Kotak masuk Facebook"},
    choices=Reads("pages", required=("name",)),
)
