"""A mailbox and the history of its changes (docs/facts/google.md §5.4). Knows nothing of HTTP."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from broker.sandbox.listing import Collection, Item, Record

FIRST_HISTORY_ID, HISTORY_STEP = 4_000_000, 17
"""History ids rise and leave gaps, so that nobody counts them up."""

NUMBERED = "19a0"
"""How the ids of messages begin that are made from their number."""

Held = Record | Callable[[], Record]


def history_id(version: int) -> str:
    """What the wire has for a version of a mailbox."""
    return str(FIRST_HISTORY_ID + HISTORY_STEP * version)


def numbered(number: int) -> str:
    """The id of the message with this number: sixteen hexadecimal digits, as all have."""
    return f"{NUMBERED}{number:012}"


def brief(message: Record) -> Record:
    """What a change tells of its message."""
    return {name: message[name] for name in ("id", "threadId", "labelIds")}


@dataclass
class Mailbox:
    """Messages by id, the oldest first. `history` rises with `messages`: one record a change."""

    owner: str
    messages: Collection = field(init=False)
    history: Collection = field(init=False)
    forgotten: int = 0
    """Version up to which the history is no longer known."""

    def __post_init__(self) -> None:
        self.messages = Collection(f"messages of {self.owner}")
        self.history = Collection(f"history of {self.owner}")

    def take(self, other: "Mailbox") -> None:
        """Hold what the other holds."""
        self.messages.take(other.messages)
        self.history.take(other.history)
        self.forgotten = other.forgotten

    def get(self, message_id: str) -> Item | None:
        """If it lives."""
        item = self.messages.items.get(message_id)
        return None if item is None or item.deleted else item

    def living(self) -> list[Item]:
        return [item for item in self.messages.items.values() if not item.deleted]

    def add(self, message_id: str, message: Held) -> None:
        self.messages.put(message_id, message)
        self._note(message_id, {"messagesAdded": []})

    def delete(self, message_id: str) -> bool:
        """Whether there was such a message."""
        gone = self.messages.delete(message_id)
        if gone:
            self._note(message_id, {"messagesDeleted": []})
        return gone

    def relabel(self, message_id: str, labels: list[str]) -> None:
        """The message has exactly these labels from now on."""
        before = self.messages.items[message_id].record
        self.messages.put(message_id, {**before, "labelIds": labels})
        added, removed = set(labels) - set(before["labelIds"]), set(before["labelIds"]) - set(labels)
        changes = {"labelsAdded": sorted(added), "labelsRemoved": sorted(removed)}
        self._note(message_id, {kind: names for kind, names in changes.items() if names})

    def hold(self, count: int, make: Callable[[int], Record]) -> None:
        """Hold the messages numbered 1 to `count`: what is missing is added, what is beyond is deleted."""
        for number in range(1, count + 1):
            if (key := numbered(number)) not in self.messages.items:
                self.add(key, partial(make, number))
        for key in list(self.messages.items):
            if key.startswith(NUMBERED) and int(key.removeprefix(NUMBERED)) > count:
                self.delete(key)

    def expire(self) -> None:
        """Forget all history up to now: whoever asks from before has to read in full."""
        self.forgotten = self.history.version
        self.history.items.clear()

    def _note(self, message_id: str, changes: dict[str, list[str]]) -> None:
        held = self.messages.items[message_id].held
        self.history.put(str(self.history.version + 1), partial(_change, held, changes))


def _change(held: Held, changes: dict[str, list[str]]) -> Record:
    return {"message": brief(held() if callable(held) else held), "changes": changes}
