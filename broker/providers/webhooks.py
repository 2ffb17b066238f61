"""Webhooks: what Facebook and Instagram tell an app of its users, and that there is something new to read.

docs/facts/meta.md §5. The signature is over the raw body, by the secret of the one app that the address is of; nothing
is parsed before it is known to be right. Of the content nothing is taken along but ids and times.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from broker import strict_json
from broker.secret import Secret

MOST = 4 * 1024 * 1024
"""Bytes of a body: a thousand changes come together, and a message may be two thousand characters (§5)."""
SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
ID = re.compile(r"[0-9]{1,64}")
SCOPE = re.compile(r"[a-z0-9_]{1,128}")
CONNECTED = "connected"
"""The field by which the authorization as a whole is told of."""

Resources = Callable[[str, object], tuple[str, ...]]
"""(field, value) → of which resources there is something new to read."""


@dataclass(frozen=True)
class Change:
    """What a user changed of the authorization, there."""

    account_id: str
    revoked: bool
    """False: something else, and what now stands is only to be asked for."""
    scope: str | None
    """None: the whole authorization."""
    assets: tuple[str, ...]
    """For which alone; none: for all."""
    at: datetime | None
    """When it was told. None: it does not say."""


@dataclass(frozen=True)
class News:
    """There may be something new to read of a resource, of this asset or account."""

    id: str
    resource: str


@dataclass(frozen=True)
class Webhook:
    """One delivery, each thing once."""

    changes: tuple[Change, ...]
    news: tuple[News, ...]
    signature: bytes


def read(secret: Secret, raw: bytes, signature: str, kind: str, resources: Resources) -> Webhook:
    """What a delivery tells. `kind`: the object that data hang on. An entry that is not understood tells nothing, and
    keeps nobody from the others. Raises `ValueError`, which tells nothing of the body, for what this secret did not
    sign, or what is no delivery."""
    signed = verified(secret, raw, signature)
    changes: dict[Change, None] = {}
    news: dict[News, None] = {}
    for body in _bodies(raw):
        for entry in _objects(body["entry"]):
            if body.get("object") == "permissions":
                changes |= dict.fromkeys(_changes(entry))
            elif body.get("object") == kind:
                news |= dict.fromkeys(_news(entry, resources))
    return Webhook(tuple(changes), tuple(news), signed)


def verified(secret: Secret, raw: bytes, signature: str) -> bytes:
    """The signature. Raises `ValueError` for any that is not the right one, as it is written (§5)."""
    given = SIGNATURE.fullmatch(signature)
    right = hmac.new(secret.reveal().encode(), raw, hashlib.sha256)
    if given is None or not hmac.compare_digest(given[1], right.hexdigest()):
        raise ValueError("not signed by this app's secret")
    return right.digest()


def _bodies(raw: bytes) -> list[Mapping[str, Any]]:
    parsed = strict_json.parse(raw)
    bodies = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(body, dict) and isinstance(body.get("entry"), list) for body in bodies):
        raise ValueError("not a delivery")
    return bodies


def _changes(entry: Mapping[str, Any]) -> Iterator[Change]:
    """`connected` has no `value` (§5)."""
    account_id, at = _id(entry.get("uid", entry.get("id"))), _moment(entry.get("time"))
    if account_id is None:
        return
    for field, item in _fields(entry):
        value = item.get("value")
        said = value if isinstance(value, dict) else item
        revoked, targets = said.get("verb") == "revoked", said.get("target_ids")
        assets = [_id(target) for target in targets] if isinstance(targets, list) else []
        known = tuple(sorted({asset for asset in assets if asset}))
        if field == CONNECTED:
            yield Change(account_id, revoked, None, (), at)
        elif SCOPE.fullmatch(field) and len(known) == len(set(assets)):
            yield Change(account_id, revoked, field, known, at)
        else:
            yield Change(account_id, False, None, (), at)


def _news(entry: Mapping[str, Any], resources: Resources) -> Iterator[News]:
    """Messages come in lists of their own: one's own, and those of a conversation that another app leads."""
    identity = _id(entry.get("id"))
    if identity is None:
        return
    for field, item in _fields(entry):
        for resource in resources(field, item.get("value")):
            yield News(identity, resource)
    for item in (*_objects(entry.get("messaging")), *_objects(entry.get("standby"))):
        message = item.get("message")
        if isinstance(message, dict) and message.get("is_deleted") is not True:
            for resource in resources("messages", message):
                yield News(identity, resource)


def _fields(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each change by its field: in a list, alone in the entry, or, without values, by name only (§5)."""
    alone = [entry] if "field" in entry else []
    for item in (*_objects(entry.get("changes")), *alone):
        if isinstance(item.get("field"), str):
            yield item["field"], item
    names = entry.get("changed_fields")
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str):
            yield name, {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _id(value: object) -> str | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if ID.fullmatch(text) else None


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, or thousandths of them, where it is of messages."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[0-9]{13}", text):
        text = text[:10]
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[0-9]{1,10}", text) else None
