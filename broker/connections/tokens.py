"""Sealed tokens: a connection's, and orphans that no connection holds. Stored and opened here only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from broker import audit
from broker.connections.fingerprints import keep_token
from broker.connections.owe import owe_telling
from broker.models import Connection, Orphan
from broker.providers.base import Provider
from broker.runtime import Broker
from broker.secret import Secret, fresh_id
from broker.upstream import TokenAnswer

MARGIN = 225
"""Seconds before its end at which an access token is refreshed (docs/facts/google.md §6 F20)."""
SHORTEST, LONGEST = 60, 86_400
"""Bounds on a stated lifetime, in seconds: at most one refresh a minute, whatever is stated (REL-49)."""
SHORTEST_LASTING = 3600
"""Seconds that a token which renews itself must be said to live to be believed. Less, or nothing, counts as the
provider's usual lifetime: the daily look finds a token that is dead. Nor is more than the usual one believed: a token
that lives for less than it says would be renewed too late."""


@dataclass(frozen=True)
class Freshness:
    fresh_until: datetime
    expires_at: datetime


def freshness(provider: Provider, issued: datetime, expires_in: int | None) -> Freshness:
    """By our own clock; an unknown lifetime counts as the shortest (F6), or as the provider's usual one where
    the token renews itself. Such a one is fresh to its end, for it is renewed by a duty."""
    if provider.renewed_by == "access_token":
        stated = expires_in if expires_in and expires_in >= SHORTEST_LASTING else provider.usual_lifetime
        lasting = timedelta(seconds=min(stated, provider.usual_lifetime))
        return Freshness(issued + lasting, issued + lasting)
    lifetime = min(max(expires_in or 0, SHORTEST), LONGEST)
    fresh = max(lifetime - MARGIN, lifetime // 2, SHORTEST)
    return Freshness(issued + timedelta(seconds=min(fresh, lifetime)), issued + timedelta(seconds=lifetime))


def store_tokens(broker: Broker, session: Session, row: Connection, answer: TokenAnswer, issued: datetime) -> None:
    """Seal a token answer under the row's next version; no new refresh token keeps the old one (RFC 6749 §6). What was
    derived from the token before it goes with it."""
    refresh_token = answer.refresh_token or open_token(broker, session, row, "refresh_token")
    fresh = freshness(broker.providers[row.provider], issued, answer.expires_in)
    row.token_version += 1
    row.access_token = _seal(broker, session, row, "access_token", answer.access_token)
    row.refresh_token = _seal(broker, session, row, "refresh_token", refresh_token) if refresh_token else None
    row.asset_tokens, row.obtained_at = None, issued
    if refresh_token:
        keep_token(broker, session, row, refresh_token)
    row.fresh_until, row.access_expires_at = fresh.fresh_until, fresh.expires_at


def open_token(broker: Broker, session: Session, row: Connection, column: str) -> Secret | None:
    """The access or refresh token of a row; None where there is none. Raises `Undecryptable`."""
    blob = getattr(row, column)
    if blob is None:
        return None
    plaintext = broker.vault.open(
        session, tenant=row.tenant, connection=row.id, column=column, version=row.token_version, blob=blob
    )
    return Secret(plaintext.decode())


def open_asset_tokens(broker: Broker, session: Session, row: Connection) -> dict[str, Secret]:
    """asset → its own token, derived from the row's access token."""
    kept = open_token(broker, session, row, "asset_tokens")
    return {asset: Secret(token) for asset, token in json.loads(kept.reveal()).items()} if kept else {}


def store_asset_tokens(broker: Broker, session: Session, row: Connection, tokens: Mapping[str, Secret]) -> None:
    kept = Secret(json.dumps({asset: token.reveal() for asset, token in tokens.items()}))
    row.asset_tokens = _seal(broker, session, row, "asset_tokens", kept)


def _seal(broker: Broker, session: Session, row: Connection, column: str, token: Secret) -> bytes:
    return broker.vault.seal(
        session,
        tenant=row.tenant,
        connection=row.id,
        column=column,
        version=row.token_version,
        plaintext=token.reveal().encode(),
    )


def orphan(
    broker: Broker,
    session: Session,
    answer: TokenAnswer,
    *,
    tenant: str,
    app_id: str,
    account_index: bytes | None,
) -> None:
    """Keep a token that no connection will hold, until a duty has told the provider (I5)."""
    row = Orphan(id=fresh_id("orp"), tenant=tenant, app_id=app_id, account_index=account_index)
    tokens = {"access_token": answer.access_token, "refresh_token": answer.refresh_token}
    _keep(broker, session, row, tokens)
    owe_telling(session, app_id, account_index.hex() if account_index else row.id, now=row.created_at)


def set_aside(broker: Broker, session: Session, row: Connection) -> None:
    """Keep the tokens that a connection gives up, at a provider whose revocation ends one token alone: they are ended
    with the account's last use, for on some providers the end of one is the end of all (I5)."""
    tokens = {name: open_token(broker, session, row, name) for name in ("access_token", "refresh_token")}
    if any(tokens.values()):
        kept = Orphan(id=fresh_id("orp"), tenant=row.tenant, app_id=row.app_id, account_index=row.account_index)
        _keep(broker, session, kept, tokens)


def _keep(broker: Broker, session: Session, row: Orphan, tokens: Mapping[str, Secret | None]) -> None:
    key = f"orphan:{row.id}"
    broker.vault.new_key(session, tenant=row.tenant, connection=key)
    row.token = broker.vault.seal(
        session,
        tenant=row.tenant,
        connection=key,
        column="token",
        version=0,
        plaintext=json.dumps({name: token.reveal() for name, token in tokens.items() if token}).encode(),
    )
    row.created_at = broker.clock()
    session.add(row)
    audit.note(session, "orphan.kept", tenant=row.tenant, orphan=row.id, provider=row.app_id)


def open_orphan(broker: Broker, session: Session, row: Orphan) -> list[Secret]:
    """Its refresh token, if any, then its access token."""
    plaintext = broker.vault.open(
        session, tenant=row.tenant, connection=f"orphan:{row.id}", column="token", version=0, blob=row.token
    )
    tokens = json.loads(plaintext)
    return [Secret(tokens[name]) for name in ("refresh_token", "access_token") if name in tokens]
