"""Use: the state on which one request relies, read before the provider is called and again before data leave (I2)."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from broker.clients import Caller, still_stands
from broker.connections.read import open_account
from broker.contract import Connector
from broker.errors import (
    BrokerError,
    ConnectionRevoked,
    ConnectionSuspended,
    GrantWithdrawn,
    InvalidRequest,
    NotFound,
    NotGranted,
    ReconnectRequired,
    Unauthorized,
    Unavailable,
)
from broker.models import Connection, Grant
from broker.runtime import Broker
from broker.vault import Undecryptable

RELIED_ON = 0.1
"""L of invariant I2, in seconds: data are written on a state read begun at most this long ago."""
MARGIN = 0.4
"""Beyond L, how long a revocation waits before it answers: for threads that are kept from the processor between the
check and the write. On a machine with four times more to do than processors, 0.42 s after the commit were seen in all.
"""
WAIT = RELIED_ON + MARGIN
"""Seconds between the commit of a revocation and its answer, however many connections it ends."""
READINGS = 5
"""How often the state is read for one write, where each reading took longer than L."""


@dataclass(frozen=True)
class Standing:
    """One connector's right on one connection, as read at `read_at` (monotonic seconds, before the read)."""

    connection: Connection
    grant: Grant
    connector: Connector
    caller: Caller
    read_at: float

    def is_recent(self) -> bool:
        return time.monotonic() - self.read_at <= RELIED_ON


class _State(NamedTuple):
    """What stands in the database: the connection, and all grants of the connector on it."""

    connection: Connection
    grants: Sequence[Grant]


def standing(broker: Broker, caller: Caller, connection_id: str, connector_name: str) -> Standing:
    """Raises what contract §2 says for a connection or grant that gives no data. A missing grant is a denial.

    By a reading of its own: what a caller has changed before, on any worker, it sees.
    """
    connector = broker.connector(connector_name)
    caller.require_connector(connector_name)
    read_at = time.monotonic()
    with broker.database.read() as session:
        state = _state(session, connection_id, connector_name)
    if state is None or not caller.acts_for(state.connection.tenant):
        raise NotFound
    provider = broker.providers.get(state.connection.provider)
    if provider is None or provider.kind != connector.provider:
        raise NotGranted("This connector belongs to another provider.")
    grant = _grant(state)
    if error := state_error(state.connection):
        raise error
    return Standing(state.connection, grant, connector, caller, min(read_at, caller.read_at))


def recent(broker: Broker, earlier: Standing) -> Standing:
    """The right as data may be written on it now: read at most `RELIED_ON` ago, or else read anew (I2).

    To be called just before a write. A reading that itself took too long does not count. Raises as `again`, and
    `Unavailable` where none is quick enough.
    """
    standing = earlier
    for _ in range(READINGS):
        if standing.is_recent():
            return standing
        standing = again(broker, standing, age=RELIED_ON / 2)
    if standing.is_recent():
        return standing
    raise Unavailable("The database is too slow to tell whether these data may still be handed out.")


def current(broker: Broker, earlier: Standing) -> Standing:
    """The right to decide on what the provider has answered: read anew unless it was read just now, and this process
    has not changed anything since, such as by a refresh. Raises as `again`."""
    if earlier.is_recent() and not broker.recent.has_changed_since(earlier.read_at):
        return earlier
    return again(broker, earlier, age=RELIED_ON)


@contextmanager
def unless_shredded(broker: Broker, standing: Standing) -> Iterator[None]:
    """Where something does not open since the connection was revoked and shredded in the middle of a request, it is
    the revocation that the caller hears of."""
    try:
        yield
    except (Undecryptable, InvalidRequest):
        again(broker, standing)
        raise


def again(broker: Broker, earlier: Standing, *, age: float = 0.0) -> Standing:
    """The same right, read anew: by a reading that began at most `age` seconds ago, so 0 is one of one's own.

    Raises when the connection, this very grant or the caller's token was ended since; `Unavailable` where the user
    connected again meanwhile: the newer grant may allow less, and a new request will tell.
    """
    read_at, (state, stands) = _read_again(broker, earlier, age)
    if state is None:
        raise ConnectionRevoked("The connection was revoked.")
    if not stands:
        raise Unauthorized("The access token was revoked meanwhile.")
    if error := state_error(state.connection):
        raise error
    grant = _grant(state)
    if grant.id != earlier.grant.id:
        raise Unavailable("The user has just connected again. Repeat the request.")
    return Standing(state.connection, grant, earlier.connector, earlier.caller, read_at)


def _read_again(broker: Broker, earlier: Standing, age: float) -> tuple[float, tuple[_State | None, bool]]:
    """Grant and token by one reading: of two, the second could wait so long that the first is too old."""

    def read() -> tuple[_State | None, bool]:
        with broker.database.read() as session:
            state = _state(session, earlier.connection.id, earlier.connector.name)
            return state, still_stands(session, earlier.caller)

    key = (earlier.caller.token_hash, earlier.connection.id, earlier.connector.name)
    return broker.recent.get(key, read, age=age)


def account_id(broker: Broker, row: Connection) -> str:
    """The account's id at the provider. Raises `Undecryptable` where it was shredded."""

    def read() -> str:
        with broker.database.read() as session:
            return open_account(broker, session, row)["id"]

    return broker.recent.get((row.id, "account", row.account_version), read, age=RELIED_ON)[1]


def _state(session: Session, connection_id: str, connector: str) -> _State | None:
    """None where there is no such connection."""
    on = and_(Grant.connection_id == Connection.id, Grant.connector == connector)
    query = select(Connection, Grant).outerjoin(Grant, on).where(Connection.id == connection_id)
    rows = session.execute(query).all()
    return _State(rows[0][0], [grant for _, grant in rows if grant]) if rows else None


def _grant(state: _State) -> Grant:
    live = next((grant for grant in state.grants if grant.live), None)
    if live is None and not state.connection.live:
        raise ConnectionRevoked("The connection was revoked.")
    if live is None and state.grants:
        raise GrantWithdrawn("The user withdrew this connector.")
    if live is None:
        raise NotGranted("The user never granted this connector on this connection.")
    return live


def state_error(connection: Connection) -> BrokerError | None:
    """Only `active` gives data; a state that is not known denies."""
    if connection.state == "active" and connection.live:
        return None
    if connection.state == "suspended":
        source = "provider" if connection.provider_suspended_at else None
        return ConnectionSuspended("The connection is suspended.", source=source)
    if connection.state == "reconnect_required" and connection.live:
        return ReconnectRequired("The provider no longer honours this connection. Send the user to connect again.")
    return ConnectionRevoked("The connection was revoked.")
