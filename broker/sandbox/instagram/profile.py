"""The account itself: `/me` and `/{ig-id}` (docs/facts/meta.md §3.1)."""

from functools import partial

from broker.sandbox.graph_fields import Record
from broker.sandbox.instagram.access import Caller
from broker.sandbox.instagram.apps import app_scoped
from broker.sandbox.instagram.media import media_field
from broker.sandbox.instagram.reading import Specials, fields_asked, filled

FIELDS = (
    *("id", "user_id", "username", "name", "account_type", "profile_picture_url"),
    *("followers_count", "follows_count", "media_count", "media"),
)


def node(who: Caller) -> Record:
    """`id` is the app-scoped one, `user_id` that of the professional account."""
    account = who.account
    record = {
        "id": app_scoped(who.token.app, account.id),
        "user_id": account.id,
        "username": account.username,
        "name": account.name,
        "account_type": account.account_type,
        "profile_picture_url": account.picture(),
        "followers_count": account.followers_count,
        "follows_count": account.follows_count,
    }
    specials: Specials = {
        "media": partial(media_field, who),
        "media_count": lambda _: sum(1 for _ in account.media.below(None)),
    }
    return filled(record, fields_asked(FIELDS, "User", ("user_id", "username")), specials)
