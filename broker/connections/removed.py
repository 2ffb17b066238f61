"""Removed: Facebook or Instagram tells that a user has taken the app back there, or asks for the deletion of what came
from it (docs/facts/meta.md §2).

Each request is verified with the secret of the one provider app that its address is of. A known and an unknown account
are answered alike. It ends what was connected before it was issued and nothing newer, so that one that comes late, or
again, does no harm.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select

from broker.config import ProviderApp
from broker.connections.exchange import account_index
from broker.connections.found import asset_indexes, found
from broker.connections.reread import drop_removed_asset
from broker.connections.revoke import ended_by_provider
from broker.errors import InvalidRequest, NotFound, ProviderUnavailable
from broker.models import Connection, DeletionRequest
from broker.providers.removal import Removal
from broker.runtime import Broker
from broker.secret import digest

DEAUTHORIZE, DELETION = "deauthorize", "deletion"
"""Names of the hooks."""
REMOVED = "The user removed the app at the provider."
TO_DELETE = "The user asked for deletion at the provider."
SECOND = timedelta(seconds=1)
"""How finely a request says when it was issued."""


@dataclass(frozen=True)
class Deletion:
    """How a request for deletion stands."""

    requested_at: datetime
    completed: bool


def deauthorize(broker: Broker, provider: str, own: str | None, signed_request: str) -> None:
    """End the account's connections by this app, or take one asset out of all of the app's. `own`: the id of a tenant's
    own app. Raises `NotFound` where there is no such hook, `InvalidRequest` for what its app's secret did not sign."""
    app, removal = _verified(broker, DEAUTHORIZE, provider, own, signed_request)
    issued_at = _issued(broker, removal)
    if removal.account_id is not None:
        _end(broker, app, removal.account_id, issued_at, REMOVED)
    elif removal.asset is not None:
        with broker.database.write() as session:
            indexes = asset_indexes(broker, session, app.id, [removal.asset])
            grants = [pair for pairs in found(session, app.id, indexes).values() for pair in pairs]
        for connection_id in sorted({connection.id for connection, _ in grants}):
            drop_removed_asset(broker, connection_id, removal.asset, before=issued_at + SECOND)


def delete(broker: Broker, provider: str, own: str | None, signed_request: str) -> str:
    """End the account's connections likewise; gives the code by which anybody who has it can ask how it stands. Raises
    as `deauthorize`."""
    app, removal = _verified(broker, DELETION, provider, own, signed_request)
    if removal.account_id is None:
        raise not_signed()
    issued_at = _issued(broker, removal)
    index = _end(broker, app, removal.account_id, issued_at, TO_DELETE)
    code = secrets.token_hex(16)
    with broker.database.write() as session:
        row = DeletionRequest(code_hash=digest(code), app_id=app.id, account_index=index, requested_at=issued_at)
        session.add(row)
    return code


def deletion(broker: Broker, code: str) -> Deletion:
    """Completed once everything is shredded that the request is about. Raises `NotFound`."""
    with broker.database.read() as session:
        row = session.get(DeletionRequest, digest(code))
        if row is None:
            raise NotFound
        left = select(Connection.id).where(
            Connection.app_id == row.app_id,
            _of(row.account_index),
            _older(row.requested_at),
            Connection.state != "revoked",
        )
        return Deletion(row.requested_at, session.scalar(left.limit(1)) is None)


def _verified(
    broker: Broker, hook: str, name: str, own: str | None, signed_request: str
) -> tuple[ProviderApp, Removal]:
    app = app_at(broker, hook, name, own)
    if app is None:
        raise not_signed()
    try:
        return app, broker.providers[name].removal(app, signed_request)
    except ValueError:
        raise not_signed() from None


def app_at(broker: Broker, hook: str, name: str, own: str | None) -> ProviderApp | None:
    """The one app that an address is of; None where a tenant's own does not exist: whether it does, nobody is to learn
    who has not its secret. Raises `NotFound` where the provider has no such hook, or no app here."""
    provider = broker.providers.get(name)
    if provider is None or hook not in provider.hooks or (own is None and name not in broker.settings.apps):
        raise NotFound
    try:
        app = broker.app(own or name)
    except ProviderUnavailable:
        return None
    return app if app.provider == name and bool(app.tenant) == bool(own) else None


def _end(broker: Broker, app: ProviderApp, account_id: str, issued_at: datetime, reason: str) -> bytes:
    """End what the account had connected by then; gives the account's index."""
    with broker.database.write() as session:
        index = account_index(broker, session, app, account_id)
        query = select(Connection.id).where(
            Connection.app_id == app.id, _of(index), _older(issued_at), Connection.live.is_(True)
        )
        connections = session.scalars(query).all()
    for connection_id in connections:
        ended_by_provider(broker, connection_id, reason=reason, before=issued_at + SECOND)
    broker.shred_log.flush()
    return index


def _issued(broker: Broker, removal: Removal) -> datetime:
    now = broker.clock()
    return min(removal.at or now, now)


def _of(index: bytes) -> ColumnElement[bool]:
    return or_(Connection.account_index == index, Connection.scoped_index == index)


def _older(issued_at: datetime) -> ColumnElement[bool]:
    return Connection.activated_at < issued_at + SECOND


def not_signed() -> InvalidRequest:
    return InvalidRequest("This is no request that the provider has signed for this address.", status=400)
