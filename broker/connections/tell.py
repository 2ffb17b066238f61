"""Tell: the provider hears that an account's authorization is over. One duty per (provider app, account).

Just before it is sent it counts, under the authorization's lock, what still uses the authorization (design
decision 5): a live connection keeps it (`shared`), an open session known to be for it too. So a late retry never
kills a newer connection. Each step may be repeated: a crash between two of them costs a second call, no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker import audit
from broker.connections.exchange import account_index
from broker.connections.fingerprints import forget_token
from broker.connections.owe import authorization, owe_telling
from broker.connections.read import noted, open_account
from broker.connections.receipts import changed, pending_items
from broker.connections.reread import set_granted
from broker.connections.tokens import open_orphan, open_token, set_aside
from broker.errors import BrokerError
from broker.failpoint import failpoint
from broker.models import Connection, ConnectSession, Grant, Orphan, RevocationItem
from broker.providers.base import Ending, Provider
from broker.providers.line import Line
from broker.runtime import Broker
from broker.secret import Secret

TO_BEGIN = 15.0
"""Seconds after its lease in which a duty may begin a call to the provider; the call has its own deadline on top."""
ORPHAN = "orp_"

Outcome = Literal["confirmed", "already_gone", "not_supported", "shared", "gave_up"]


@dataclass(frozen=True)
class _Owed:
    """What ends with one account's authorization: the connections that wait, and orphaned tokens."""

    connections: tuple[str, ...]
    orphans: tuple[str, ...]
    ending: Ending
    told_at: datetime


@dataclass(frozen=True)
class _Fewer:
    """The authorization is in use, and not all of it: what nothing live needs is taken back."""

    account_id: str
    keep: frozenset[str]
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
    line = broker.line(app_id, begin_by=begin_by)
    provider = broker.providers[line.app.provider]
    if account.startswith(ORPHAN):
        _place(broker, provider, line, account)
        return None
    index = bytes.fromhex(account)
    owed = _owed(broker, provider, app_id, index)
    if not isinstance(owed, _Owed | _Fewer):
        return owed
    failpoint("tell.counted")
    try:
        if isinstance(owed, _Fewer):
            provider.take_back(line, owed.account_id, owed.keep)
        else:
            outcome = provider.end(line, owed.ending)
    except BrokerError:
        with broker.database.write() as session:
            _telling_is_over(session, app_id, index, owed)
        raise
    failpoint("tell.sent")
    if isinstance(owed, _Fewer):
        _settle_grants(broker, app_id, index, owed)
    else:
        _settle(broker, app_id, index, owed, outcome)
    failpoint("tell.settled")
    return None


def failed(broker: Broker, session: Session, key: str, error: BrokerError, *, gave_up: bool) -> None:
    """Write a failed try on every receipt that waits for it; at the end of all patience shred all the same."""
    app_id, _, account = key.partition(":")
    if account.startswith(ORPHAN):
        return
    index = bytes.fromhex(account)
    items = _pending(session, app_id, index)
    for item in items:
        item.attempts, item.last_error = item.attempts + 1, error.detail[:200]
        if gave_up and item.ended == "grant":
            item.provider_outcome = "gave_up"
    if gave_up:
        shred_connections(broker, session, _waiting(session, app_id, index), "gave_up")
    changed(session, [item.revocation_id for item in items], broker.clock())


def _owed(broker: Broker, provider: Provider, app_id: str, index: bytes) -> _Owed | _Fewer | datetime | None:
    """What must be told now. Where another use holds the authorization it is settled here: None, or when to look
    again because only a session that may be abandoned holds it. Tokens that the end of the last use does not end by
    itself are set aside until then."""
    now = broker.clock()
    with broker.database.write() as session:
        row = authorization(session, app_id, index)
        connections = _waiting(session, app_id, index)
        orphans = session.scalars(select(Orphan).where(Orphan.app_id == app_id, Orphan.account_index == index)).all()
        in_use, until = _in_use(session, app_id, index), _sessions_until(session, app_id, index, now)
        ends_alone = not provider.one_revocation_ends_all
        if (in_use and ends_alone) or (until and (ends_alone or provider.takes_back_permissions)):
            for item in connections:
                set_aside(broker, session, item)
        if in_use:
            shred_connections(broker, session, connections, "shared")
            if not ends_alone:
                end_orphans(broker, session, orphans)
            if not provider.takes_back_permissions:
                return None
            row.told_at, row.telling_until = now, now + longest(broker)
            return _Fewer(_account_id(broker, session, in_use[0]), _needed(broker, session, app_id, index, in_use), now)
        if until:
            shred_connections(broker, session, connections, "shared")
            return until if orphans or ends_alone or provider.takes_back_permissions else None
        if not connections and not orphans:
            _settle_unneeded(broker, session, app_id, index)
            return None
        row.told_at, row.telling_until = now, now + longest(broker)
        tokens = [token for item in connections for token in _tokens(broker, session, item)]
        tokens += [token for item in orphans for token in open_orphan(broker, session, item)]
        account_id = _account_id(broker, session, connections[0]) if connections else None
    ending = Ending(account_id, tuple(tokens))
    return _Owed(tuple(item.id for item in connections), tuple(item.id for item in orphans), ending, now)


def _needed(broker: Broker, session: Session, app_id: str, index: bytes, live: Sequence[Connection]) -> frozenset[str]:
    """Every scope that something live needs: grants of connections, and sessions known to be for this account."""
    grants = select(Grant.scopes).where(Grant.connection_id.in_([row.id for row in live]), Grant.live.is_(True))
    sessions = select(ConnectSession.requested_scopes).where(
        ConnectSession.app_id == app_id,
        ConnectSession.account_index == index,
        ConnectSession.status.in_(("open", "pending")),
        ConnectSession.expires_at > broker.clock(),
    )
    identity = broker.providers[live[0].provider].identity_scopes
    return frozenset(identity).union(*session.scalars(grants), *session.scalars(sessions))


def _account_id(broker: Broker, session: Session, row: Connection) -> str:
    return open_account(broker, session, row)["id"]


def _telling_is_over(session: Session, app_id: str, index: bytes, owed: _Owed | _Fewer) -> None:
    """A confirmation need not wait any longer, unless another worker is telling by now."""
    row = authorization(session, app_id, index)
    if row.told_at == owed.told_at:
        row.telling_until = None


def _settle(broker: Broker, app_id: str, index: bytes, owed: _Owed, outcome: Outcome) -> None:
    with broker.database.write() as session:
        _telling_is_over(session, app_id, index, owed)
        waiting = [row for row in _waiting(session, app_id, index) if row.id in owed.connections]
        shred_connections(broker, session, waiting, outcome)
        end_orphans(broker, session, session.scalars(select(Orphan).where(Orphan.id.in_(owed.orphans))).all())


def _settle_grants(broker: Broker, app_id: str, index: bytes, fewer: _Fewer) -> None:
    """A withdrawn grant is over at the provider where nothing live needs any of its scopes; else it is shared."""
    with broker.database.write() as session:
        _telling_is_over(session, app_id, index, fewer)
        for row in _in_use(session, app_id, index, lock=True):
            if row.activated_at < fewer.told_at:  # what was confirmed since was probed, and stands
                set_granted(session, row, set(row.granted_scopes) & fewer.keep)
        settled = [item for item in _pending(session, app_id, index) if item.ended == "grant"]
        for item in settled:
            needed = fewer.keep & _scopes_of(session, item)
            item.provider_outcome = "shared" if needed else "confirmed"
            item.attempts, item.last_error = item.attempts + 1, None
        changed(session, [item.revocation_id for item in settled], broker.clock())


def _scopes_of(session: Session, item: RevocationItem) -> frozenset[str]:
    """What the connector was granted that an item of a receipt is about."""
    query = select(Grant.scopes).where(Grant.connection_id == item.connection_id, Grant.connector == item.connector)
    return frozenset().union(*session.scalars(query))


def _settle_unneeded(broker: Broker, session: Session, app_id: str, index: bytes) -> None:
    """A grant was withdrawn from a connection that must be connected anew: nothing is told before that."""
    items = _pending(session, app_id, index)
    for item in items:
        item.provider_outcome = "shared"
    changed(session, [item.revocation_id for item in items], broker.clock())


def _place(broker: Broker, provider: Provider, line: Line, orphan_id: str) -> None:
    """Find out whose a token is that failed before its account was known: then that account's duty ends it.

    Where nobody says whose it is, it is dead; or, at a provider whose revocation ends one token alone, it is revoked
    by itself.
    """
    with broker.database.read() as session:
        row = session.get(Orphan, orphan_id)
        tokens = open_orphan(broker, session, row) if row else []
    owner = provider.owner(line, tokens) if tokens else None
    if owner is None and tokens and not provider.one_revocation_ends_all:
        provider.end(line, Ending(None, tuple(tokens)))
    with broker.database.write() as session:
        row = session.get(Orphan, orphan_id)
        if row and owner is None:
            end_orphans(broker, session, [row])
        elif row and owner:
            row.account_index = index = account_index(broker, session, line.app, owner)
            owe_telling(session, row.app_id, index.hex(), now=broker.clock())


def _waiting(session: Session, app_id: str, index: bytes) -> Sequence[Connection]:
    query = select(Connection).where(
        Connection.app_id == app_id, Connection.account_index == index, Connection.state == "revoking"
    )
    return session.scalars(query.with_for_update()).all()


def _in_use(session: Session, app_id: str, index: bytes, *, lock: bool = False) -> Sequence[Connection]:
    """The live connections that still work on this authorization."""
    query = select(Connection).where(
        Connection.app_id == app_id,
        Connection.account_index == index,
        Connection.live.is_(True),
        Connection.state.in_(("active", "suspended")),
        Connection.access_token.is_not(None),  # one that died and was suspended then uses nothing
    )
    return session.scalars(query.order_by(Connection.id).with_for_update() if lock else query).all()


def _pending(session: Session, app_id: str, index: bytes) -> Sequence[RevocationItem]:
    """What stands on receipts and waits for the provider to be told of this account."""
    mine = select(Connection.id).where(Connection.app_id == app_id, Connection.account_index == index)
    return pending_items(session, RevocationItem.connection_id.in_(mine))


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


def shred_connections(
    broker: Broker, session: Session, rows: Sequence[Connection], outcome: Outcome | Literal["shared", "gave_up"]
) -> None:
    """Shred each, and write on every receipt that waits for it how it ended."""
    for row in rows:
        row.state = "revoked"
        row.account = row.access_token = row.refresh_token = row.asset_tokens = None
        forget_token(session, row.id)
        noted(session, row, "connection.shredded", actor="broker", provider_outcome=outcome)
        broker.vault.shred(session, tenant=row.tenant, connection=row.id)
    items = pending_items(session, RevocationItem.connection_id.in_([row.id for row in rows]))
    for item in items:
        item.provider_outcome, item.shredded_at = outcome, broker.clock()
        if outcome != "gave_up":
            item.last_error = None
        if outcome in ("confirmed", "already_gone"):
            item.attempts += 1
    changed(session, [item.revocation_id for item in items], broker.clock())


def end_orphans(broker: Broker, session: Session, rows: Sequence[Orphan]) -> None:
    for row in rows:
        audit.note(session, "orphan.ended", tenant=row.tenant, orphan=row.id, provider=row.app_id)
        broker.vault.shred(session, tenant=row.tenant, connection=f"orphan:{row.id}")
        session.delete(row)
