"""Gmail: who wrote to whom, when and about what; never what was written (docs/facts/google.md §5.4).

Rules G1 to G9 of §4.6.1. A message is read by its id, so the ids are listed first, and later what changed since; each
message is asked for in the format `metadata`, with the headers named (G2, G5). Nothing here is opened by a scope for
whole messages: a token that holds both is one for metadata, and no use to whoever needs the whole (G3).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from broker.providers.data.googleapis import auth, dicts, items, text
from broker.providers.resource import Listing, Place, Resource, Values

METADATA = auth("gmail.metadata")
ME: Values = {"userId": "me"}
"""Rule G9."""
HEADERS = ("From", "To", "Cc", "Subject", "Date", "Message-ID")
"""The headers that are asked for and passed on; without a list there would come all, some thirty of them (G5)."""
LIST, HISTORY, PROFILE = "gmail.users.messages.list", "gmail.users.history.list", "gmail.users.getProfile"
FIRST = "first"
"""The first page of the list, which comes after the profile; it has no token at Google."""
CHANGES = ("messagesAdded", "labelsAdded", "labelsRemoved")


class MessageIds(Resource):
    """The ids of all messages, or of those that changed since. A full reading notes the mailbox's place before it
    begins, so that it misses nothing; the list itself does not tell it."""

    name = "message_ids"
    operation = LIST
    operations = (LIST, HISTORY, PROFILE)
    identity = "id"
    not_found = "place_lost"
    fields = {"threadId": METADATA}
    titles = {"threadId": {"en": "conversations", "id": "percakapan"}}

    def operation_at(self, place: Place) -> str:
        if place.changes:
            return HISTORY
        return LIST if place.page else PROFILE

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        """Never a `q`, not even an empty one (G1)."""
        if self.operation_at(place or Place()) == PROFILE:
            return ME
        values: Values = {**ME, "maxResults": str(min(limit, 500))}
        if place and place.changes:
            values["startHistoryId"] = place.changes
        if place and place.page and place.page != FIRST:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        operation, at = self.operation_at(place), text(answer, "historyId")
        if operation == PROFILE:
            if at is None:
                raise ValueError("a profile without its historyId")
            return Listing([], replace(place, page=FIRST, changes=at), has_more=True)
        page = text(answer, "nextPageToken")
        following = replace(place, page=page, changes=at)
        if operation == LIST:
            return Listing(items(answer, "messages"), following, has_more=page is not None)
        history = items(answer, "history")
        gone = tuple(dict.fromkeys(str(message["id"]) for message in _named(history, ("messagesDeleted",))))
        changed = {str(message["id"]): message for message in _named(history, CHANGES)}
        left = [message for key, message in changed.items() if key not in gone]
        return Listing(left, following, has_more=page is not None, gone=gone)


def _named(history: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The messages of these kinds of changes. The key is absent where nothing of a kind happened (§5.4)."""
    for record in history:
        for change in (change for kind in kinds for change in dicts(record.get(kind))):
            message = change.get("message")
            if isinstance(message, dict) and isinstance(message.get("id"), str) and message["id"]:
                yield message


class Messages(Resource):
    """What stands on the envelope of one message."""

    name = "messages"
    operation = "gmail.users.messages.get"
    identity = "id"
    parent = MessageIds.name
    fields = dict.fromkeys(("threadId", "labelIds", "internalDate", "payload"), METADATA)
    titles = {
        "threadId": {"en": "which conversation it belongs to", "id": "percakapannya"},
        "labelIds": {"en": "labels, such as inbox or sent", "id": "label, seperti kotak masuk atau terkirim"},
        "internalDate": {"en": "when it was sent or arrived", "id": "kapan dikirim atau diterima"},
        "payload": {
            "en": "sender, recipients and subject of your mail, never its text",
            "id": "pengirim, penerima, dan subjek email Anda, tidak pernah isinya",
        },
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        """The format is never left out: the default would be the whole message (G2)."""
        values: Values = {**ME, "format": "metadata", "metadataHeaders": list(HEADERS)}
        if place and place.within:
            values["id"] = place.within
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        if answer.get("id") != place.within:
            raise ValueError("not the message that was asked for")
        return Listing([answer], None, has_more=False)

    def visible(self, raw: dict[str, Any], scopes: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        """Whatever the token holds: of the payload nothing but these headers, no body and no parts (§4.6.1)."""
        if "payload" not in raw:
            return raw
        payload = raw["payload"]
        headers = dicts(payload.get("headers")) if isinstance(payload, dict) else []
        return {**raw, "payload": {"headers": [kept for header in headers if (kept := _header(header))]}}


KNOWN = {name.lower() for name in HEADERS}


def _header(header: Mapping[str, Any]) -> dict[str, str] | None:
    name, value = header.get("name"), header.get("value")
    if isinstance(name, str) and name.lower() in KNOWN and isinstance(value, str):
        return {"name": name, "value": value}
    return None
