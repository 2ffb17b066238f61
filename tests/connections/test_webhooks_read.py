"""What a delivery of Facebook's or Instagram's is taken for, by its raw bytes and nothing else. docs/facts/meta.md §5,
docs/facts/security.md INP-83.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from broker import providers
from broker.config import ProviderApp
from broker.providers.webhooks import Change, News, Webhook
from broker.secret import Secret

SECRET = "PROVIDER-SECRET-2"
AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
TIME = int(AT.timestamp())
PAGE, ACCOUNT, LATER = "104820017650001", "17841400000000001", datetime(2026, 11, 25, 9, 1, tzinfo=UTC)
INSTALLED = providers.installed()


def signature(raw: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return f"{algorithm}={hmac.new(secret.encode(), raw, algorithm).hexdigest()}"


def read(raw: bytes, given: str | None = None, provider: str = "facebook") -> Webhook:
    app = ProviderApp(provider, provider, "100200300400500", Secret(SECRET))
    return INSTALLED[provider].webhook(app, raw, signature(raw) if given is None else given)


def delivered(kind: str, *entries: Any, provider: str = "facebook") -> Webhook:
    return read(json.dumps({"object": kind, "entry": list(entries)}).encode(), provider=provider)


def page(*changes: Any, **members: Any) -> dict[str, Any]:
    return {"id": PAGE, "time": TIME, **({"changes": list(changes)} if changes else {}), **members}


def permissions(*changes: Any, **members: Any) -> dict[str, Any]:
    return {"id": "4711", "uid": "4711", "time": TIME, "changes": list(changes), **members}


LEAD = {"field": "leadgen", "value": {"leadgen_id": "1", "page_id": PAGE, "form_id": "2", "created_time": TIME}}
HALO = rb'{"object":"page","entry":[{"id":"%s","time":1,"messaging":[{"message":{"mid":"m","text":"%s"}}]}]}'


# --- the signature -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [rb"Halo \ud83d\ude00 \u00e4\/", "Halo 😀 ä/".encode(), rb"Halo \uD83D\uDE00 \u00E4/"])
def test_the_signature_is_over_the_bytes_as_they_came(text: bytes) -> None:
    """Three spellings of one text: each is signed as it is sent, and another spelling's signature does not fit."""
    raw = HALO % (PAGE.encode(), text)
    assert read(raw).news == (News(PAGE, "messages"),)
    for again in (json.dumps(json.loads(raw)).encode(), raw + b"\n", raw.replace(b'":', b'": ')):
        with pytest.raises(ValueError, match="not signed"):
            read(again, signature(raw))


@pytest.mark.parametrize(
    "forged",
    [
        lambda raw: "",
        lambda raw: signature(raw)[7:],
        lambda raw: "sha256=" + signature(raw)[7:].upper(),
        lambda raw: "SHA256=" + signature(raw)[7:],
        lambda raw: signature(raw) + " ",
        lambda raw: signature(raw)[:-1],
        lambda raw: f"{signature(raw)},{signature(raw)}",
        lambda raw: signature(raw, "VERIFY-TOKEN"),
        lambda raw: signature(raw, ""),
        lambda raw: signature(raw, algorithm="sha1"),
        lambda raw: "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha1).hexdigest(),
        lambda raw: "sha256=" + hashlib.sha256(raw).hexdigest(),
        lambda raw: "sha256=" + "٠" * 64,
    ],
)
def test_no_other_signature_counts(forged: Any) -> None:
    raw = json.dumps({"object": "page", "entry": [page(LEAD)]}).encode()
    with pytest.raises(ValueError, match="not signed"):
        read(raw, forged(raw))


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[1]", b'{"object":"page"}', b'{"entry":[],"entry":[]}', b'{"entry":{}}', b"\xff", b"[" * 99]
)
def test_what_is_signed_and_no_delivery_is_refused_without_being_told(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a ") as refused:
        read(raw)
    assert refused.value.__cause__ is None
    assert str(refused.value) in ("not a sound JSON text", "not a delivery")


# --- what was taken back -------------------------------------------------------------------------------------


def change(revoked: bool = True, scope: str | None = None, *assets: str, at: datetime | None = AT) -> Change:
    return Change("4711", revoked, scope, assets, at)


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ({"field": "connected", "verb": "revoked"}, change()),
        ({"field": "connected", "verb": "granted"}, change(False)),
        ({"field": "connected", "value": {"verb": "revoked"}}, change()),
        ({"field": "email", "value": {"verb": "revoked"}}, change(True, "email")),
        ({"field": "email", "value": {"verb": "revoked", "target_ids": []}}, change(True, "email")),
        ({"field": "email", "value": {"verb": "granted"}}, change(False, "email")),
        (
            {"field": "pages_show_list", "value": {"verb": "revoked", "target_ids": ["2", 1, "2"]}},
            change(True, "pages_show_list", "1", "2"),
        ),
        ({"field": "pages_show_list", "value": {"verb": "revoked", "target_ids": ["1", None]}}, change(False)),
        ({"field": "Not A Scope", "value": {"verb": "revoked"}}, change(False)),
        ({"field": "email", "value": "revoked"}, change(False, "email")),
    ],
)
def test_a_change_of_permissions_is_what_was_taken_back_or_a_reason_to_ask(told: Any, means: Change) -> None:
    assert delivered("permissions", permissions(told)).changes == (means,)


def test_without_values_only_the_provider_can_say_what_changed() -> None:
    entry = {"id": "4711", "uid": "4711", "time": TIME, "changed_fields": ["email", "connected"]}
    assert delivered("permissions", entry).changes == (change(False, "email"), change(False))


@pytest.mark.parametrize(
    ("time", "at"),
    [(TIME, AT), (str(TIME), AT), ((TIME + 60) * 1000, LATER), (None, None), ("soon", None), (True, None), (-5, None)],
)
def test_the_time_may_be_in_seconds_or_thousandths_or_missing(time: Any, at: datetime | None) -> None:
    entry = permissions({"field": "connected", "verb": "revoked"}, time=time)
    assert delivered("permissions", entry).changes == (change(at=at),)


# --- news ----------------------------------------------------------------------------------------------------


def feed(**value: Any) -> dict[str, Any]:
    return page({"field": "feed", "value": value})


@pytest.mark.parametrize(
    ("entry", "resources"),
    [
        (page(LEAD), ["leads"]),
        (page(messaging=[{"message": {"mid": "m", "text": "t"}}]), ["messages"]),
        (page(messaging=[{"message": {"mid": "m", "is_echo": True}}]), ["messages"]),
        (page(standby=[{"message": {"mid": "m"}}]), ["messages"]),
        (page(messaging=[{"read": {"watermark": 1}}, {"delivery": {}}]), []),
        (page(messaging=[{"message": {"mid": "m", "is_deleted": True}}]), []),
        (feed(item="comment", verb="add"), ["comments"]),
        (feed(item="comment", verb="remove"), []),
        (feed(item="photo", verb="add"), ["posts"]),
        (feed(item="reaction", verb="add"), []),
        (page(changed_fields=["feed", "leadgen"]), ["comments", "posts", "leads"]),
        (page({"field": "ratings", "value": {}}), []),
        (page(LEAD, id="0x1"), []),
        (page(LEAD, id=int(PAGE)), ["leads"]),
    ],
)
def test_a_page_tells_of_leads_messages_comments_and_posts(entry: Any, resources: list[str]) -> None:
    assert [one.resource for one in delivered("page", entry).news] == resources


@pytest.mark.parametrize(
    ("entry", "resources"),
    [
        ({"changes": [{"field": "comments", "value": {"text": "t"}}]}, ["comments"]),
        ({"field": "live_comments", "value": {"text": "t"}}, ["comments"]),
        ({"changes": [{"field": "messages", "value": {}}]}, ["messages"]),
        ({"messaging": [{"message": {"mid": "m"}}]}, ["messages"]),
        ({"changes": [{"field": "story_insights", "value": {}}]}, []),
    ],
)
def test_an_instagram_account_tells_of_comments_and_messages(entry: Any, resources: list[str]) -> None:
    found = delivered("instagram", {"id": ACCOUNT, "time": TIME, **entry}, provider="instagram").news
    assert found == tuple(News(ACCOUNT, resource) for resource in resources)


def test_another_kind_of_object_tells_nothing() -> None:
    assert delivered("instagram", page(LEAD)).news == delivered("user", page(LEAD)).news == ()
    assert delivered("page", page(LEAD), provider="instagram").news == ()


def test_one_entry_that_is_not_understood_keeps_nobody_from_the_others() -> None:
    broken = [7, None, {}, {"id": PAGE, "changes": 7}, page({"field": 7}), page(7), page(messaging=[7, {"message": 7}])]
    assert delivered("page", *broken, page(LEAD)).news == (News(PAGE, "leads"),)


def test_a_thousand_changes_of_one_page_are_one_piece_of_news() -> None:
    raw = json.dumps({"object": "page", "entry": [page(*[LEAD] * 500), page(*[LEAD] * 500)]}).encode()
    assert read(raw).news == (News(PAGE, "leads"),)
    assert read(raw).signature.hex() == signature(raw)[7:]
