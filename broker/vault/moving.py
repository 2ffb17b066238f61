"""Keys move out of the data's database into one of their own, page by page: copied, compared, then deleted."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, inspect, select, tuple_
from sqlalchemy.orm import Session

from broker.db import Base, Database, insert_if_missing
from broker.errors import ConfigurationError
from broker.models import ConnectionKey, KeyCheck, OwedShred, TenantKey
from broker.secret import fresh_id

PAGE = 500
NAMES: dict[type[Base], tuple[str, ...]] = {
    KeyCheck: ("kid",),
    TenantKey: ("tenant", "generation"),
    ConnectionKey: ("dek_id",),
}
"""The vault's tables and their primary keys, what wraps before what is wrapped."""


def move_keys(database: Database) -> int:
    """Bring every key into `database.keystore`, and say how many rows went. Killed, it can be started again.

    No broker may run meanwhile. Raises `ConfigurationError` where there is no key store of its own, or it is another
    broker's; `Unavailable`.
    """
    if database.keystore is database or _is_the_same(database):
        raise ConfigurationError(["BROKER_KEYSTORE_URL must name the database that the keys move to: another one."])
    moved = sum(_move_table(database, table) for table in NAMES)
    database.wipe()
    return moved


def _is_the_same(database: Database) -> bool:
    """One database can have many addresses: what is written at one would be seen at the other."""
    mark = {"tenant": "*", "connection": fresh_id("mark")}
    with database.keystore.write() as keystore:
        keystore.add(OwedShred(**mark, owed_at=datetime.now(UTC)))
    with database.read() as session:
        seen = session.scalar(select(OwedShred.tenant).filter_by(**mark)) is not None
    with database.keystore.write() as keystore:
        keystore.execute(delete(OwedShred).filter_by(**mark))
    return seen


def _move_table(database: Database, table: type[Base]) -> int:
    moved, name = 0, tuple(getattr(table, part) for part in NAMES[table])
    page = select(*inspect(table).columns).order_by(*name).limit(PAGE)
    while True:
        with database.read() as session:
            rows = session.execute(page).all()
        if not rows:
            return moved
        with database.keystore.write() as keystore:
            for row in rows:
                _copy(keystore, table, row)
        with database.write() as session:
            copied = [tuple(getattr(row, part) for part in NAMES[table]) for row in rows]
            session.execute(delete(table).where(tuple_(*name).in_(copied)))
        moved += len(rows)


def _copy(keystore: Session, table: type[Base], row: Row[Any]) -> None:
    values = {column.name: row._mapping[column] for column in inspect(table).columns}
    name = {part: values.pop(part) for part in NAMES[table]}
    insert_if_missing(keystore, table, name, values)
    if tuple(keystore.execute(select(*inspect(table).columns).filter_by(**name)).one()) != tuple(row):
        raise ConfigurationError([f"The key store has another row of this name in {table.__tablename__}: whose is it?"])
