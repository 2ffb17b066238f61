"""Where the key tables are: in the data's database, or in one of their own (docs/adr/0015).

In a database of their own no transaction spans both. So a key is committed before the data that it seals, and
destroyed after the data are gone: a crash leaves a key too many, never sealed data without their key. What is still to
be destroyed is owed by a row in the data's transaction, paid right after its commit or else by the worker's sweep.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from broker.db import Database, insert_if_missing
from broker.errors import ConfigurationError, Unavailable
from broker.models import Connection, ConnectionKey, OwedShred, TenantKey

log = logging.getLogger("broker.vault")

Keys = Session | DatabaseConnection
"""Where the key tables are reached from: the caller's transaction; for a look at keys autocommit is enough."""
ALL = ""
"""Instead of a connection: every key of the tenant, its own included."""
PAGE = 500
SAMPLE = 20


@contextmanager
def reading(keys: Keys) -> Iterator[DatabaseConnection]:
    """For a look at the keys. Core statements alone: a caller's own pending rows are not flushed in between."""
    database = _apart(keys)
    if database is None:
        yield _own(keys)
    else:
        with database.keystore.read() as session:
            yield session.connection()


@contextmanager
def changing(keys: Keys) -> Iterator[DatabaseConnection]:
    """For a change: one of the caller's transaction, or in a key store of its own committed at the end of the block."""
    database = _apart(keys)
    if database is None:
        yield _own(keys)
    else:
        with database.keystore.write() as session:
            yield session.connection()


def shred(keys: Keys, *, tenant: str, connection: str, now: datetime) -> bool:
    """Destroy a connection's key, or `ALL` of a tenant; False where there was none."""
    database = _apart(keys)
    if database is None or not isinstance(keys, Session):
        return _destroy(_own(keys), tenant, connection)
    insert_if_missing(keys, OwedShred, {"tenant": tenant, "connection": connection}, {"owed_at": now})
    owed = keys.info.setdefault("owed_shreds", set())
    owed.add((tenant, connection))
    keys.info.setdefault("after_commit", {})["owed_shreds"] = partial(_pay_soon, database, owed)
    with reading(keys) as connected:
        return _exists(connected, tenant, connection)


def shred_owed(database: Database, *, only: Collection[tuple[str, str]] | None = None) -> int:
    """Destroy keys whose destruction is owed, and say how many were. Any number may do it at once, and again.

    Raises `Unavailable`.
    """
    name = (OwedShred.tenant, OwedShred.connection)
    query = select(*name).order_by(OwedShred.owed_at).limit(PAGE)
    with database.read() as session:
        found = session.execute(query if only is None else query.where(tuple_(*name).in_(sorted(only)))).all()
    owed = [(tenant, connection) for tenant, connection in found]
    if owed:
        with database.keystore.write() as session:
            for tenant, connection in owed:
                _destroy(session.connection(), tenant, connection)
        with database.write() as session:
            session.execute(delete(OwedShred).where(tuple_(*name).in_(owed)))
    return len(owed)


def refuse_while_owed(keys: Keys, *, tenant: str, connection: str) -> None:
    """A key made now would be destroyed with the old one. Raises `Unavailable`."""
    if _apart(keys) is None:
        return
    owed = select(OwedShred.tenant).where(OwedShred.tenant == tenant, OwedShred.connection.in_((ALL, connection)))
    if _own(keys).execute(owed.limit(1)).first():
        raise Unavailable("Keys of the same name are just being destroyed. Repeat the request.")


def check_place(database: Database) -> None:
    """Whether the keys are where this broker looks for them. Raises `ConfigurationError`, `Unavailable`."""
    if database.keystore is not database:
        with database.read() as session:
            if session.scalar(select(TenantKey.tenant).limit(1)):
                problem = "BROKER_KEYSTORE_URL is set and the keys are still in the database: run broker db move-keys."
                raise ConfigurationError([problem])
    with database.read() as session:
        sealed = select(Connection.tenant).where(Connection.live.is_(True)).distinct().limit(SAMPLE)
        tenants = session.scalars(sealed).all()
    with database.keystore.read() as session:
        held = session.scalar(select(TenantKey.tenant).where(TenantKey.tenant.in_(tenants)).limit(1))
    if tenants and held is None:
        problem = "The key store holds no key of this database's connections: BROKER_KEYSTORE_URL must name theirs."
        raise ConfigurationError([problem])


def _pay_soon(database: Database, owed: Collection[tuple[str, str]]) -> None:
    """What decided it is committed: that the key store is away now undoes nothing, and the worker comes back to it."""
    try:
        shred_owed(database, only=owed)
    except Unavailable as error:
        log.warning("shredding waits for the key store: %s", error.detail)


def _destroy(database: DatabaseConnection, tenant: str, connection: str) -> bool:
    mine = ConnectionKey.tenant == tenant
    if connection != ALL:
        return database.execute(delete(ConnectionKey).where(mine, ConnectionKey.connection == connection)).rowcount > 0
    database.execute(delete(ConnectionKey).where(mine))
    return database.execute(delete(TenantKey).where(TenantKey.tenant == tenant)).rowcount > 0


def _exists(database: DatabaseConnection, tenant: str, connection: str) -> bool:
    of_connection = select(ConnectionKey.dek_id).filter_by(tenant=tenant, connection=connection)
    of_tenant = select(TenantKey.tk_id).filter_by(tenant=tenant)
    return database.execute((of_tenant if connection == ALL else of_connection).limit(1)).first() is not None


def _apart(keys: Keys) -> Database | None:
    """The data's database, where the keys are in another one."""
    database: Database | None = keys.info.get("database") if isinstance(keys, Session) else None
    return None if database is None or database.keystore is database else database


def _own(keys: Keys) -> DatabaseConnection:
    return keys.connection() if isinstance(keys, Session) else keys
