"""The portal's page as a value: every sentence is ready, in the session's language.

A subject sees nothing but its own: each look-up here goes by tenant and subject.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from broker.models import Connection, Grant, PortalSession
from broker.portal import readings
from broker.portal.grants import ShownGrant, shown_grant
from broker.portal.history import ShownItem, history
from broker.portal.names import Settings, account_label, connector_title, provider_settings, provider_title
from broker.portal.texts import TEXTS, day, local
from broker.runtime import Broker
from broker.vault import Undecryptable

AT_ONCE = 20
"""Connections on one page."""


@dataclass(frozen=True)
class ShownConnection:
    id: str
    account: str
    state: str
    is_active: bool
    since: str
    grants: tuple[ShownGrant, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    connections: tuple[ShownConnection, ...]
    total: int
    """Connections on all pages."""
    page: int
    pages: int
    settings: tuple[Settings, ...]
    history: tuple[ShownItem, ...]


def shown(broker: Broker, row: PortalSession, page: int) -> Shown:
    """Page `page` of the subject's live connections, from 1; the last one where there are fewer."""
    with broker.database.read() as session:
        total = session.scalar(select(func.count()).select_from(live(row).subquery())) or 0
        pages = max(1, -(-total // AT_ONCE))
        page = max(1, min(page, pages))
        ordered = live(row).order_by(Connection.provider, Connection.created_at, Connection.id)
        rows = session.scalars(ordered.limit(AT_ONCE).offset((page - 1) * AT_ONCE)).all()
        past = history(broker, session, row)
        return Shown(
            connections=_connections(broker, session, rows, row.locale),
            total=total,
            page=page,
            pages=pages,
            settings=_settings(broker, session, row),
            history=past,
        )


def live(row: PortalSession) -> Select[Connection]:
    """The connections of a session's subject that were not ended."""
    return own(row).where(Connection.live.is_(True))


def own(row: PortalSession) -> Select[Connection]:
    return select(Connection).where(Connection.tenant == row.tenant, Connection.subject == row.subject)


def _settings(broker: Broker, session: Session, row: PortalSession) -> tuple[Settings, ...]:
    """Of every provider at which the subject ever connected: what was ended here may still stand there."""
    names = session.scalars(own(row).with_only_columns(Connection.provider).distinct()).all()
    return tuple(found for name in sorted(names) if (found := provider_settings(broker, name, row.locale)))


def _connections(
    broker: Broker, session: Session, rows: Sequence[Connection], locale: str
) -> tuple[ShownConnection, ...]:
    ids = [row.id for row in rows]
    query = select(Grant).where(Grant.connection_id.in_(ids)).order_by(Grant.granted_at, Grant.id)
    grants = session.scalars(query).all()
    read = readings.read(session, ids, broker.clock(), locale)
    found = []
    for row in rows:
        own_grants = [grant for grant in grants if grant.connection_id == row.id]
        try:
            found.append(_connection(broker, session, row, own_grants, read, locale))
        except Undecryptable:
            session.refresh(row)
            if row.live:  # else it was ended and shredded in this very moment
                raise
    return tuple(found)


def _connection(
    broker: Broker,
    session: Session,
    row: Connection,
    grants: Sequence[Grant],
    read: readings.Read,
    locale: str,
) -> ShownConnection:
    never = readings.never(locale)
    live_ones = [
        shown_grant(broker, session, row, grant, read.get((row.id, grant.connector), never), locale)
        for grant in grants
        if grant.live
    ]
    return ShownConnection(
        id=row.id,
        account=account_label(broker, session, row, locale),
        state=_state(broker, row, locale),
        is_active=row.state == "active",
        since=TEXTS[locale]["connected"].format(day=day(local(row.created_at, locale), locale)),
        grants=tuple(sorted(live_ones, key=lambda grant: grant.title)),
        withdrawn=_withdrawn(broker, grants, locale),
    )


def _state(broker: Broker, row: Connection, locale: str) -> str:
    """In plain words; a state that is not known gives no data either."""
    by_provider = row.state == "suspended" and row.provider_suspended_at
    name = "suspended_provider" if by_provider else row.state
    text = TEXTS[locale].get(name, TEXTS[locale]["suspended"])
    return text.format(provider=provider_title(broker, row.provider))


def _withdrawn(broker: Broker, grants: Sequence[Grant], locale: str) -> tuple[str, ...]:
    """The connectors that were withdrawn and not granted again since, each the last time."""
    granted = {grant.connector for grant in grants if grant.live}
    last = {grant.connector: grant.withdrawn_at for grant in grants if grant.withdrawn_at}
    return tuple(
        TEXTS[locale]["withdrawn"].format(
            title=connector_title(broker, name, locale), day=day(local(withdrawn_at, locale), locale)
        )
        for name, withdrawn_at in sorted(last.items())
        if name not in granted
    )
