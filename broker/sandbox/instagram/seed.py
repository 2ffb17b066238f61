"""The accounts of the fake Instagram and how much each holds. The same at every start, and all invented."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from broker.sandbox.graph_fields import Record
from broker.sandbox.graph_paging import Series
from broker.sandbox.instagram import seed_media, seed_messages

PROFESSIONAL = ("BUSINESS", "MEDIA_CREATOR")


@dataclass
class Account:
    """A person at Instagram. `id`: that of the professional account, the same for every app."""

    id: str
    username: str
    name: str
    number: int
    """What the ids of its posts, comments and messages are made of."""
    account_type: str = "BUSINESS"
    followers_count: int = 0
    follows_count: int = 0
    media: Series = field(init=False)
    conversations: Series = field(init=False)
    comments: dict[int, Series] = field(default_factory=dict)
    """By the number of the post, as far as they were asked for or changed."""

    def __post_init__(self) -> None:
        own = {"id": self.id, "username": self.username}
        media = partial(seed_media.media, self.username, self.number)
        self.media = Series(media, 0, seed_media.posted_at)
        conversation = partial(seed_messages.conversation, own, self.number)
        self.conversations = Series(conversation, 0, seed_messages.updated_at)

    @property
    def professional(self) -> bool:
        return self.account_type in PROFESSIONAL

    def comments_of(self, number: int) -> Series:
        """Beneath the post of that number."""
        if number not in self.comments:
            make = partial(seed_media.comment, self.number, number)
            count = seed_media.comment_count(number)
            self.comments[number] = Series(make, count, partial(seed_media.written_at, number))
        return self.comments[number]

    def picture(self) -> str:
        return f"https://scontent.cdninstagram.com/v/{self.number}-profile.jpg?oh=SIGNED&oe=6A000000"

    def described(self) -> Record:
        return {
            "id": self.id,
            "username": self.username,
            "name": self.name,
            "account_type": self.account_type,
            "media": len(self.media),
            "conversations": len(self.conversations),
        }


def accounts() -> list[Account]:
    """Fresh ones: Ani with more than a page of everything, Budi with little, Citra a creator, Dodi not professional."""
    ani = Account("17841400000000101", "ani.wijaya", "Ani Wijaya", 1, "BUSINESS", 5200, 310)
    budi = Account("17841400000000202", "budi.santoso", "Budi Santoso", 2, "BUSINESS", 48, 51)
    citra = Account("17841400000000303", "toko.citra", "Citra Lestari", 3, "MEDIA_CREATOR", 910, 77)
    dodi = Account("17841400000000404", "dodi", "Dodi Halim", 4, "PERSONAL")
    for account, media, conversations in ((ani, 300, 60), (budi, 4, 2), (citra, 12, 5)):
        account.media.resize(media)
        account.conversations.resize(conversations)
    return [ani, budi, citra, dodi]


def id_for(username: str) -> str:
    """A stable id as professional accounts have them, seventeen digits beyond 2^53; the same each time."""
    return f"1784149{zlib.crc32(username.encode()):010}"


FILL: Mapping[str, Callable[[Account, int], None]] = {
    "media": lambda account, count: account.media.resize(count),
    "conversations": lambda account, count: account.conversations.resize(count),
}
"""How much of each kind of record an account holds, by the name that the control call has for it."""
