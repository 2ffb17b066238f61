"""What there is to read of a professional Instagram account. Sections are of docs/facts/meta.md.

Nothing of it says what was deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from broker.providers.data import graph
from broker.providers.resource import Listing, Place, Resource, Values

BASIC = "instagram_business_basic"
COMMENTS = f"{BASIC} instagram_business_manage_comments"
MESSAGES = f"{BASIC} instagram_business_manage_messages"
INSIGHTS = f"{BASIC} instagram_business_manage_insights"


class Profile(graph.Node):
    """The professional account itself (§3.1)."""

    name = "profile"
    operation = "instagram.me.get"
    identity = "user_id"
    of_account = True
    titles = {
        "user_id": {"en": "your account's id", "id": "id akun Anda"},
        "username": {"en": "your user name", "id": "nama pengguna Anda"},
        "name": {"en": "your name", "id": "nama Anda"},
        "profile_picture_url": {"en": "your picture", "id": "foto Anda"},
        "account_type": {"en": "what kind of account it is", "id": "jenis akun Anda"},
        "followers_count": {"en": "how many follow you", "id": "jumlah pengikut Anda"},
        "media_count": {"en": "how many posts you have", "id": "jumlah kiriman Anda"},
    }
    fields = dict.fromkeys(titles, (BASIC,))


class AllMedia(graph.Edge):
    """Every post, walked over to its comments; with the newest of these, to see whether there are any new ones."""

    name = "all_media"
    operation = "instagram.me.media.list"
    fields: Mapping[str, tuple[str, ...]] = {}
    nested = {"comments": ".limit(10){timestamp,replies.limit(10){timestamp}}"}


class Media(graph.Edge):
    """The account's posts, newest first (§4.3). Later readings give what was posted since, not what was changed."""

    name = "media"
    operation = "instagram.me.media.list"
    resumes_by_time = True
    fields = dict.fromkeys(
        (
            *("caption", "media_type", "media_url", "thumbnail_url", "permalink", "timestamp"),
            *("like_count", "comments_count"),
        ),
        (BASIC,),
    )
    titles = {
        "caption": {"en": "text of your posts", "id": "teks kiriman Anda"},
        "media_type": {"en": "whether a post is a picture or a video", "id": "apakah kiriman berupa foto atau video"},
        "media_url": {"en": "the picture or video", "id": "foto atau videonya"},
        "thumbnail_url": {"en": "a still of the video", "id": "gambar diam dari videonya"},
        "permalink": {"en": "its address", "id": "alamatnya"},
        "timestamp": {"en": "when it was posted", "id": "waktu kirim"},
        "like_count": {"en": "number of likes", "id": "jumlah suka"},
        "comments_count": {"en": "number of comments", "id": "jumlah komentar"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        first = graph.since(place)
        values = super().parameters(fields, asset, place, limit)
        return values if first is None else {**values, "since": str(first)}


class Comments(graph.Edge):
    """Comments on the account's posts, the newest first, each with its answers, which come in no other way (§4.3)."""

    name = "comments"
    operation = "instagram.media.comments.list"
    parent = "all_media"
    parent_fields = ("comments_count", "comments")
    through = "media"
    below = "media_id"
    most = 50
    resumes_by_time = True
    fields = dict.fromkeys(("text", "timestamp", "username", "from", "like_count", "hidden", "parent_id"), (COMMENTS,))
    titles = {
        "text": {"en": "what people write below your posts", "id": "komentar orang pada kiriman Anda"},
        "timestamp": {"en": "when they wrote it", "id": "waktu penulisannya"},
        "username": {"en": "user name of who wrote it", "id": "nama pengguna penulisnya"},
        "from": {"en": "who wrote it", "id": "penulisnya"},
        "like_count": {"en": "number of likes", "id": "jumlah suka"},
        "hidden": {"en": "whether you hide it", "id": "apakah Anda sembunyikan"},
        "parent_id": {"en": "which comment it answers", "id": "komentar yang dibalas"},
    }

    def has_news(self, parent: Mapping[str, Any], place: Place) -> bool:
        """Where the newest comments are told, and all of them with their answers are known, there is nothing new."""
        if parent.get("comments_count") == 0:
            return False
        return "comments" not in parent or any(
            graph.is_new(comment.get("timestamp"), place) for comment in _with_answers(parent["comments"])
        )

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        named = graph.fields_value((*fields, "id", "timestamp"), {"from": "{id,username}"})
        values = super().parameters((), asset, place, limit)
        return {**values, "fields": f"{named},replies.limit(50){{{named}}}"}

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        found = super().listing(answer, place)
        news = [one for one in _with_answers(answer) if graph.is_new(one.get("timestamp"), place)]
        return replace(found, items=news) if news or not found.items else Listing([], None, has_more=False)


def _with_answers(listed: object) -> Iterator[Mapping[str, Any]]:
    """The comments of a list, each followed by its answers; what is malformed within a comment is left out."""
    for comment in _objects(listed):
        yield comment
        yield from _objects(comment.get("replies"))


def _objects(listed: object) -> list[Mapping[str, Any]]:
    data = listed.get("data") if isinstance(listed, Mapping) else None
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []


class Conversations(graph.Edge):
    """The account's conversations, walked over to their messages (§4.3). Few at once: their long ids wait in the
    cursor, and that goes into an address."""

    name = "conversations"
    operation = "instagram.me.conversations.list"
    most = 10
    always = {"platform": "instagram"}
    fields: Mapping[str, tuple[str, ...]] = {}


class Messages(graph.Node):
    """What people and the account wrote to each other: of each conversation the twenty newest, for Instagram tells no
    more (§4.3). They come with the conversation."""

    name = "messages"
    operation = "instagram.conversation.get"
    parent = "conversations"
    parent_fields = ("updated_time",)
    through = "conversation"
    below = "conversation_id"
    resumes_by_time = True
    fields = dict.fromkeys(("message", "from", "to", "created_time"), (MESSAGES,))
    nested = dict.fromkeys(("from", "to"), "{id,username}")
    titles = {
        "message": {"en": "messages between people and you", "id": "pesan antara orang dan Anda"},
        "from": {"en": "who wrote them", "id": "penulisnya"},
        "to": {"en": "who they went to", "id": "penerimanya"},
        "created_time": {"en": "when they were sent", "id": "waktu pengirimannya"},
    }

    def has_news(self, parent: Mapping[str, Any], place: Place) -> bool:
        return graph.is_new(parent.get("updated_time"), place)

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        named = graph.fields_value((*fields, "id", "created_time"), self.nested)
        return {**self.target(asset, place), "fields": f"id,messages.limit(20){{{named}}}"}

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        items, _ = graph.listed(answer.get("messages", {"data": []}))
        return Listing([one for one in items if graph.is_new(one.get("created_time"), place)], None, has_more=False)


class Insights(Resource):
    """Figures of the account, day by day: a record for each day and figure, and a call for each day (§4.3). They may be
    two days late, so a later reading begins before where the last one ended, once there is another day to read; the
    days of a full one are a month."""

    name = "insights"
    operation = "instagram.me.insights.list"
    identity = "id"
    resumes_by_time = True
    fields = dict.fromkeys(("name", "value", "period", "date"), (INSIGHTS,))
    titles = {
        "name": {"en": "which figure of your account it is: reach, views, likes, …", "id": "nama statistik akun Anda"},
        "value": {"en": "the figure", "id": "nilai statistiknya"},
        "period": {"en": "how long it was counted", "id": "rentang hitungannya"},
        "date": {"en": "the day", "id": "harinya"},
    }
    metrics = (
        *("accounts_engaged", "comments", "follows_and_unfollows", "likes", "profile_links_taps", "reach", "replies"),
        *("saves", "shares", "total_interactions", "views"),
    )
    """Not `follower_count`: with fewer than 100 followers it would be refused, and all others with it."""
    late = timedelta(days=2)
    month, longest = timedelta(days=30), timedelta(days=90)

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        day, number = self._standing(place or Place())
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        metrics = ",".join(self.metrics[number : number + limit])
        times = {"since": str(begin), "until": str(begin + 24 * 3600)}
        return {"metric": metrics, "period": "day", "metric_type": "total_value", **times}

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        found, _ = graph.listed(answer)
        day, number = self._standing(place)
        figures = [told for entry in found if (told := _figure(entry, day))]
        first, last = self._days(place)
        if first > last:
            return Listing([], None, has_more=False)
        following = number + (place.limit or len(self.metrics))
        if following >= len(self.metrics):
            day, following = day + timedelta(days=1), 0
        more = day <= last
        return Listing(figures, replace(place, page=f"{day}/{following}") if more else None, has_more=more)

    def _standing(self, place: Place) -> tuple[date, int]:
        """The day to read, and the first of its figures; yesterday where there is no day to read."""
        day, _, number = (place.page or "").partition("/")
        return _day(day) or min(self._days(place)), int(number) if number.isdecimal() else 0

    def _days(self, place: Place) -> tuple[date, date]:
        """The first and the last day of this reading: yesterday is the last that is over."""
        today, before = _day(place.began) or date(2020, 1, 1), _day(place.changes)
        yesterday = today - timedelta(days=1)
        if before is None:
            return today - self.month, yesterday
        return (today if before >= today else max(before - self.late, today - self.longest)), yesterday


def _day(moment: str | None) -> date | None:
    """Of a time or a day as ISO 8601 writes it."""
    try:
        return datetime.fromisoformat(moment).date() if moment else None
    except ValueError:
        return None


def _figure(entry: Mapping[str, Any], day: date) -> Mapping[str, Any] | None:
    """One figure of a day; None where it is not told, for a missing one is no zero (§4.3). Raises `ValueError`."""
    name, period, total = entry.get("name"), entry.get("period"), entry.get("total_value")
    if not isinstance(name, str) or not isinstance(period, str):
        raise ValueError("a figure without a name")
    value = total.get("value") if isinstance(total, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return {"id": f"{name}/{period}/{day}", "name": name, "period": period, "value": value, "date": str(day)}


RESOURCES: dict[str, Resource] = {
    resource.name: resource
    for resource in (*(Profile(), AllMedia(), Media(), Comments(), Conversations(), Messages(), Insights()),)
}
