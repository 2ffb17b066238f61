"""Removal: that somebody took an app back at Facebook or Instagram, as they tell the app by a signed request.

docs/facts/meta.md §2.1. The signature is over the encoded payload, by the secret of the one app that the address is
of; nothing of the payload counts before it is known to be right.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from broker import strict_json
from broker.secret import Secret

MOST = 8192
"""Characters of a signed request."""
SIGNED = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
ID = re.compile(r"[0-9]{1,64}")


@dataclass(frozen=True)
class Removal:
    """Who removed the app: an account, or one asset, such as a Page. One of the two is None."""

    account_id: str | None
    asset: str | None
    at: datetime | None
    """None: it does not say."""


def verified(secret: Secret, text: str) -> Removal:
    """Raises `ValueError`, which tells nothing of the text, for one that this secret did not sign, or that is none."""
    parts = SIGNED.fullmatch(text) if len(text) <= MOST else None
    if parts is None:
        raise ValueError("not a signed request")
    signature, payload = parts.groups()
    right = hmac.new(secret.reveal().encode(), payload.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(_decoded(signature), right):
        raise ValueError("not signed by this app's secret")
    said = strict_json.parse(_decoded(payload))
    if not isinstance(said, dict) or str(said.get("algorithm")).upper() != "HMAC-SHA256":
        raise ValueError("not of a kind that is known")
    account_id, asset = _id(said.get("user_id")), _id(said.get("profile_id"))
    if (account_id is None) == (asset is None):
        raise ValueError("does not say who removed the app")
    return Removal(account_id, asset, _moment(said.get("issued_at")))


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _id(value: object) -> str | None:
    if value is None:
        return None
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not ID.fullmatch(text):
        raise ValueError("not an id")
    return text


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, as a number or a text."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[0-9]{1,10}", text) else None
