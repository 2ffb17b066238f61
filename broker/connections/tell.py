"""Tell: the provider hears that an account's authorization is over. One duty per (provider app, account).

Just before it is sent it counts, under the authorization's lock, what still uses the authorization (design
decision 5): a live connection keeps it (`shared`), an open session known to be for it too. So a late retry never
kills a newer connection. Each step may be repeated: a crash between two of them costs a second call, no more.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from broker import audit
from broker.config import origin
from broker.connections.owe import authorization, owe_telling
from broker.connections.read import noted
from broker.connections.tokens import open_orphan, open_token, set_aside
from broker.errors import BrokerError, ProviderUnavailable, RateLimited, Unavailable
from broker.failpoint import failpoint
from broker.models import Connection, ConnectSession, Orphan, RevocationItem
from broker.providers.base import Provider
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import Answer, TokenRefused, retry_after

TO_BEGIN = 15.0
"""Seconds after its lease in which a duty may begin a call to the provider; the call has its own deadline on top."""
ORPHAN = "orp_"

Outcome = Literal["confirmed", "already_gone", "not_supported", "shared", "gave_up"]


@dataclass(frozen=True)
class _Owed:
    """What ends with one account's authorization: the connections that wait, and orphaned tokens."""

    connections: tuple[str, ...]
    orphans: tuple[str, ...]
    tokens: tuple[Secret, ...]
    told_at: datetime


def longest(broker: Broker) -> timedelta:
    """From the lease of a duty to the end of its last call: nobody else takes it meanwhile, and a confirmation waits
    for a telling that may be on its way."""
    return timedelta(seconds=TO_BEGIN + broker.settings.provider_deadline)


def tell(broker: Broker, key: str, *, begin_by: float) -> datetime | None:
    """Do the duty `<app id>:<account index>`; a time means that it must be looked at again then.

    `begin_by`: monotonic seconds; from then on no call is begun, for another worker may have taken the duty.
    Raises `BrokerError` to be tried again.
    """
    app_id, _, account = key.partition(":")
    provider = broker.providers.get(app_id)
    if provider is None:
        raise ProviderUnavailable("The provider is not configured here any more.", sent=False)
    if account.startswith(ORPHAN):
        _place(broker, provider, account, begin_by)
        return None
    index = bytes.fromhex(account)
    owed = _owed(broker, provider, app_id, index)
    if not isinstance(owed, _Owed):
        return owed
    failpoint("tell.counted")
    try:
        outcome = _sent(broker, provider, owed.tokens, begin_by)
    except BrokerError:
        with broker.database.write() as session:
            _telling_is_over(session, app_id, index, owed)
        raise
    failpoint("tell.sent")
    _settle(broker, app_id, index, owed, outcome)
    failpoint("tell.settled")
    return None


def failed(broker: Broker, session: Session, key: str, error: BrokerError, *, gave_up: bool) -> None:
    """Write a failed try on every receipt that waits for it; at the end of all patience shred all the same."""
    app_id, _, account = key.partition(":")
    if account.startswith(ORPHAN):
        return
    rows = _waiting(session, app_id, bytes.fromhex(account))
    items = update(RevocationItem).where(
        RevocationItem.connection_id.in_([row.id for row in rows]),
        RevocationItem.provider_outcome == "pending",
    )
    session.execute(items.values(attempts=RevocationItem.attempts + 1, last_error=error.detail[:200]))
    if gave_up:
        _end_connections(broker, session, rows, "gave_up")


def _owed(broker: Broker, provider: Provider, app_id: str, index: bytes) -> _Owed | datetime | None:
    """What must be told now. Where another use holds the authorization it is settled here: None, or when to look
    again because only a session that may be abandoned holds it. Tokens that the end of the last use does not end by
    itself are set aside until then."""
    now = broker.clock()
    with broker.database.write() as session:
        row = authorization(session, app_id, index)
        connections = _waiting(session, app_id, index)
        orphans = session.scalars(select(Orphan).where(Orphan.app_id == app_id, Orphan.account_index == index)).all()
        in_use, until = _in_use(session, app_id, index), _sessions_until(session, app_id, index, now)
        if (in_use or until) and not provider.one_revocation_ends_all:
            for item in connections:
                set_aside(broker, session, item)
        if in_use:
            _end_connections(broker, session, connections, "shared")
            if provider.one_revocation_ends_all:
                _end_orphans(broker, session, orphans)
            return None
        if until:
            _end_connections(broker, session, connections, "shared")
            return until if orphans or not provider.one_revocation_ends_all else None
        if not connections and not orphans:
            return None
        row.told_at, row.telling_until = now, now + longest(broker)
        tokens = [token for item in connections for token in _tokens(broker, session, item)]
        tokens += [token for item in orphans for token in open_orphan(broker, session, item)]
    return _Owed(tuple(item.id for item in connections), tuple(item.id for item in orphans), tuple(tokens), now)


def _sent(broker: Broker, provider: Provider, tokens: Sequence[Secret], begin_by: float) -> Outcome:
    """Revoke each token at the provider (RFC 7009), or only until one call has ended all. Raises to be tried again."""
    endpoint = broker.endpoints(provider).revocation
    if endpoint is None:
        return "not_supported"
    outcomes = set()
    for token in tokens:
        if time.monotonic() > begin_by:
            raise Unavailable("There was no time left to tell the provider everything; the next try goes on.")
        outcome = _revoked(broker, provider, endpoint, token)
        outcomes.add(outcome)
        if outcome == "confirmed" and provider.one_revocation_ends_all:
            break
    return "confirmed" if "confirmed" in outcomes else "already_gone"


def _revoked(broker: Broker, provider: Provider, endpoint: str, token: Secret) -> Literal["confirmed", "already_gone"]:
    app = broker.app(provider)
    answer = broker.upstream.revoke(
        endpoint=endpoint,
        pins=frozenset({origin(endpoint)}),
        client_id=app.client_id,
        client_secret=app.client_secret,
        token=token,
        token_type_hint=None,
        auth_method=provider.auth_method if provider.authenticates_revocation else None,
    )
    outcome = provider.revocation_outcome(answer.status, _error_of(answer))
    if outcome is None and answer.status == 429:
        raise RateLimited("The provider asks to be left alone for a while.", retry_after=retry_after(answer))
    if outcome is None:
        raise ProviderUnavailable(f"The provider answered the revocation with status {answer.status}.")
    return outcome


def _telling_is_over(session: Session, app_id: str, index: bytes, owed: _Owed) -> None:
    """A confirmation need not wait any longer, unless another worker is telling by now."""
    row = authorization(session, app_id, index)
    if row.told_at == owed.told_at:
        row.telling_until = None


def _settle(broker: Broker, app_id: str, index: bytes, owed: _Owed, outcome: Outcome) -> None:
    with broker.database.write() as session:
        _telling_is_over(session, app_id, index, owed)
        waiting = [row for row in _waiting(session, app_id, index) if row.id in owed.connections]
        _end_connections(broker, session, waiting, outcome)
        _end_orphans(broker, session, session.scalars(select(Orphan).where(Orphan.id.in_(owed.orphans))).all())


def _place(broker: Broker, provider: Provider, orphan_id: str, begin_by: float) -> None:
    """Find out whose a token is that failed before its account was known: then that account's duty ends it.

    Where nobody says whose it is, it is dead; or, at a provider whose revocation ends one token alone, it is revoked
    by itself.
    """
    with broker.database.read() as session:
        row = session.get(Orphan, orphan_id)
        tokens = open_orphan(broker, session, row) if row else []
    subject = _subject(broker, provider, tokens) if tokens else None
    if subject is None and not provider.one_revocation_ends_all:
        _sent(broker, provider, tokens, begin_by)
    app = broker.app(provider)
    with broker.database.write() as session:
        row = session.get(Orphan, orphan_id)
        if row and subject is None:
            _end_orphans(broker, session, [row])
        elif row and subject:
            index = broker.vault.blind_index(session, provider=app.id, client_id=app.client_id, value=subject)
            row.account_index = index
            owe_telling(session, row.app_id, index.hex(), now=broker.clock())


def _subject(broker: Broker, provider: Provider, tokens: Sequence[Secret]) -> str | None:
    """Asked with the access token; once that has expired, with a new one. None: nobody honours either any more."""
    *lasting, access = tokens
    userinfo = broker.endpoints(provider).userinfo
    if userinfo is None:
        return None
    subject = _named_by(broker, userinfo, access)
    if subject is None and lasting and not provider.rotates_refresh_tokens:
        renewed = _renewed(broker, provider, lasting[0])
        subject = _named_by(broker, userinfo, renewed) if renewed else None
    return subject


def _renewed(broker: Broker, provider: Provider, refresh_token: Secret) -> Secret | None:
    app, endpoint = broker.app(provider), broker.endpoints(provider).token
    try:
        answer = broker.upstream.refresh(
            endpoint=endpoint,
            pins=frozenset({origin(endpoint)}),
            client_id=app.client_id,
            client_secret=app.client_secret,
            refresh_token=refresh_token,
            auth_method=provider.auth_method,
        )
    except TokenRefused as refusal:
        if refusal.error != "invalid_grant":
            raise ProviderUnavailable(f"The provider refused the refresh ({refusal.error}).") from None
        return None
    return answer.access_token


def _named_by(broker: Broker, userinfo: str, token: Secret) -> str | None:
    """The account that userinfo names; None: the token is dead."""
    answer = broker.upstream.call("GET", userinfo, pins=frozenset({origin(userinfo)}), token=token)
    if answer.status in (401, 403):
        return None
    body = answer.json() if answer.status == 200 else None
    subject = body.get("sub") if isinstance(body, dict) else None
    if not isinstance(subject, str):
        raise ProviderUnavailable("The provider did not say whose the token is.")
    return subject


def _waiting(session: Session, app_id: str, index: bytes) -> Sequence[Connection]:
    query = select(Connection).where(
        Connection.app_id == app_id, Connection.account_index == index, Connection.state == "revoking"
    )
    return session.scalars(query.with_for_update()).all()


def _in_use(session: Session, app_id: str, index: bytes) -> bool:
    """Whether a live connection still works on this authorization."""
    query = select(func.count()).where(
        Connection.app_id == app_id,
        Connection.account_index == index,
        Connection.live.is_(True),
        Connection.state.in_(("active", "suspended")),
    )
    return bool(session.scalar(query))


def _sessions_until(session: Session, app_id: str, index: bytes, now: datetime) -> datetime | None:
    """When the last open session known to be for this account ends, if there is one."""
    query = select(func.max(ConnectSession.expires_at)).where(
        ConnectSession.app_id == app_id,
        ConnectSession.account_index == index,
        ConnectSession.status.in_(("open", "pending")),
        ConnectSession.expires_at > now,
    )
    return session.scalar(query)


def _tokens(broker: Broker, session: Session, row: Connection) -> list[Secret]:
    """Refresh token first: it takes the access tokens with it (docs/facts/google.md §1.7)."""
    found = [open_token(broker, session, row, column) for column in ("refresh_token", "access_token")]
    return [token for token in found if token]


def _end_connections(broker: Broker, session: Session, rows: Sequence[Connection], outcome: Outcome) -> None:
    """Shred each, and write on every receipt that waits for it how it ended."""
    ended: dict[str, object] = {"provider_outcome": outcome, "shredded_at": broker.clock()}
    if outcome != "gave_up":
        ended["last_error"] = None
    if outcome in ("confirmed", "already_gone"):
        ended["attempts"] = RevocationItem.attempts + 1
    for row in rows:
        row.state = "revoked"
        row.account = row.access_token = row.refresh_token = None
        noted(session, row, "connection.shredded", actor="broker", provider_outcome=outcome)
        broker.vault.shred(session, tenant=row.tenant, connection=row.id)
        waiting = update(RevocationItem).where(
            RevocationItem.connection_id == row.id, RevocationItem.provider_outcome == "pending"
        )
        session.execute(waiting.values(ended))


def _end_orphans(broker: Broker, session: Session, rows: Sequence[Orphan]) -> None:
    for row in rows:
        audit.note(session, "orphan.ended", tenant=row.tenant, orphan=row.id, provider=row.app_id)
        broker.vault.shred(session, tenant=row.tenant, connection=f"orphan:{row.id}")
        session.delete(row)


def _error_of(answer: Answer) -> str | None:
    """The `error` member of a refusal; None where the answer is no JSON object."""
    try:
        body = answer.json()
    except ProviderUnavailable:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, str) else None
