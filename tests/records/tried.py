"""A sound connector to be tried, and others that each break a rule. It imports what a connector may, and no more."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from broker.contract import Connector, RawRecord, Reads, Record
from connectors.records import EVENT, present, text

RAW = {"id": "one", "summary": "Call", "location": "Bandung", "organizer": {"email": "ani@example.com"}}


def convert(raw: RawRecord) -> Record:
    fields = (("title", text(raw, "summary")), ("location", text(raw, "location")))
    organizer = ("organizer", text(raw, "organizer", "email"))
    return {"id": raw["id"], "type": "event", "deleted": False, **present((*fields, organizer))}


SOUND = Connector(
    name="sound",
    provider="google",
    type="event",
    reads=Reads("events", required=("summary",), optional=("location", "organizer")),
    convert=convert,
    schema=EVENT,
    titles={"en": "Sound", "id": "Baik"},
)


def converting(change: Callable[[RawRecord, Record], Any]) -> Connector:
    """The sound one, with what it makes of a raw record changed."""
    return replace(SOUND, convert=lambda raw: change(raw, convert(raw)))


def told(field: str, raw: RawRecord, read: Callable[[Any], Any], member: str = "organizer") -> dict[str, Any]:
    """What is read of a field where there is one, whatever it holds."""
    return {member: read(raw[field])} if field in raw else {}


def address(organizer: Any) -> Any:
    """Of an organizer who is an object with an address, that address, of whatever type."""
    return organizer.get("email", "") if isinstance(organizer, dict) else ""


def counting() -> Connector:
    calls: list[None] = []

    def counted(raw: RawRecord, record: Record) -> Record:
        calls.append(None)
        return {**record, "status": str(len(calls))}

    return converting(counted)


def emptying() -> Connector:
    def emptied(raw: Any, record: Record) -> Record:
        if "organizer" in raw and isinstance(raw["organizer"], dict):
            raw["organizer"].clear()
        return record

    return converting(emptied)


BROKEN: dict[str, tuple[str, Connector]] = {
    "untitled": ("it is declared whole", replace(SOUND, titles={"en": "Sound"})),
    "twice": ("it is declared whole", replace(SOUND, reads=Reads("events", ("summary", "summary"), ("location",)))),
    "nothing_required": ("it is declared whole", replace(SOUND, reads=Reads("events", (), SOUND.reads.fields))),
    "no_raw_field": (
        "the raw records have every field",
        replace(SOUND, reads=Reads("events", ("summary",), ("location", "description"))),
    ),
    "other_id": (
        "a whole record becomes a valid one",
        converting(lambda raw, record: {**record, "id": f"event-{record['id']}"}),
    ),
    "other_type": ("a whole record becomes a valid one", replace(SOUND, type="contact")),
    "own_source": ("a whole record becomes a valid one", converting(lambda raw, record: {**record, "source": {}})),
    "unknown_member": (
        "a whole record becomes a valid one",
        converting(lambda raw, record: {**record, "hue": "red"}),
    ),
    "no_record": ("a whole record becomes a valid one", converting(lambda raw, record: None)),
    "unused": ("what is asked for is used", converting(lambda raw, record: {**record, "location": "Bandung"})),
    "needs_an_optional": (
        "any field may be withheld",
        converting(lambda raw, record: {**record, "location": raw["location"]}),
    ),
    "required_do_not_suffice": (
        "the required fields suffice",
        converting(lambda raw, record: {**record, "status": "location" in raw or 1}),
    ),
    "needs_a_required": (
        "the identity alone makes a valid record",
        converting(lambda raw, record: {**record, "title": raw["summary"]}),
    ),
    "counts": ("the same input gives the same output", counting()),
    "empties_its_input": ("the same input gives the same output", emptying()),
    "trusts_the_provider": (
        "whatever the provider sends becomes a valid record",
        converting(lambda raw, record: {**record, **told("summary", raw, lambda value: value, "title")}),
    ),
    "trusts_what_is_within": (
        "whatever the provider sends becomes a valid record",
        converting(lambda raw, record: {**record, **told("organizer", raw, address)}),
    ),
    "fails_within": (
        "whatever the provider sends becomes a valid record",
        converting(
            lambda raw, record: {**record, **({"organizer": raw["organizer"]["email"]} if "organizer" in raw else {})}
        ),
    ),
}
