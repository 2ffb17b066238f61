"""Use: the state on which one request relies, read before the provider is called and again before data leave (I2)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.clients import Caller, still_stands
from broker.connections.read import known_connection
from broker.contract import Connector
from broker.errors import (
    BrokerError,
    ConnectionRevoked,
    ConnectionSuspended,
    GrantWithdrawn,
    InvalidRequest,
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


def standing(broker: Broker, caller: Caller, connection_id: str, connector_name: str) -> Standing:
    """Raises what contract §2 says for a connection or grant that gives no data. A missing grant is a denial."""
    connector = broker.connector(connector_name)
    caller.require_connector(connector_name)
    read_at = time.monotonic()
    with broker.database.read() as session:
        connection = known_connection(session, caller, connection_id)
        provider = broker.providers.get(connection.provider)
        if provider is None or provider.kind != connector.provider:
            raise NotGranted("This connector belongs to another provider.")
        grant = _grant(session, connection, connector_name)
    if error := state_error(connection):
        raise error
    return Standing(connection, grant, connector, caller, read_at)


def recent(broker: Broker, earlier: Standing) -> Standing:
    """The right as data may be written on it now: read at most `RELIED_ON` ago, or else read anew (I2).

    To be called just before a write. A reading that itself took too long does not count. Raises as `again`, and
    `Unavailable` where none is quick enough.
    """
    standing = earlier
    for _ in range(READINGS):
        if standing.is_recent():
            return standing
        standing = again(broker, standing)
    if standing.is_recent():
        return standing
    raise Unavailable("The database is too slow to tell whether these data may still be handed out.")


@contextmanager
def unless_shredded(broker: Broker, standing: Standing) -> Iterator[None]:
    """Where something does not open since the connection was revoked and shredded in the middle of a request, it is
    the revocation that the caller hears of."""
    try:
        yield
    except (Undecryptable, InvalidRequest):
        again(broker, standing)
        raise


def again(broker: Broker, earlier: Standing) -> Standing:
    """The same right, read anew. Raises when the connection, this very grant or the caller's token was ended since.

    `Unavailable` where the user connected again meanwhile: the newer grant may allow less, and a new request will tell.
    """
    read_at = time.monotonic()
    with broker.database.read() as session:
        connection = session.get(Connection, earlier.connection.id)
        if connection is None:
            raise ConnectionRevoked("The connection was revoked.")
        if not still_stands(session, earlier.caller):
            raise Unauthorized("The access token was revoked meanwhile.")
        if error := state_error(connection):
            raise error
        grant = _grant(session, connection, earlier.connector.name)
    if grant.id != earlier.grant.id:
        raise Unavailable("The user has just connected again. Repeat the request.")
    return Standing(connection, grant, earlier.connector, earlier.caller, read_at)


def _grant(session: Session, connection: Connection, connector_name: str) -> Grant:
    query = select(Grant).where(Grant.connection_id == connection.id, Grant.connector == connector_name)
    grants = session.scalars(query).all()
    live = next((grant for grant in grants if grant.live), None)
    if live is None and not connection.live:
        raise ConnectionRevoked("The connection was revoked.")
    if live is None and grants:
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
