"""What was ended, by whoever, and how that went at the provider, in words.

A revocation may have ended what belongs to many people: of each, a subject sees its own connections alone, and is given
the signed receipt of those that were about nobody else.
"""

from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.errors import NotFound
from broker.models import Connection, PortalSession, Revocation, RevocationItem
from broker.portal.names import Settings, account_label, connector_title, provider_settings, provider_title
from broker.portal.texts import TEXTS, moment
from broker.runtime import Broker

SHOWN = 20
"""The newest."""
SUBJECT = "subject"
"""As an actor: who ended it on these pages."""


@dataclass(frozen=True)
class ShownItem:
    """One thing that ended."""

    revocation: str
    what: str
    when: str
    told_when: str
    """The same, with what it means."""
    by: str
    outcome: str
    is_pending: bool
    shredded: str | None
    settings: Settings | None
    """Where the subject can remove it, as far as the provider did not say that it is over."""


@dataclass(frozen=True)
class ShownReceipt:
    id: str
    when: str
    by: str
    items: tuple[ShownItem, ...]
    is_pending: bool
    is_own: bool
    """It is about this subject alone."""


def history(broker: Broker, session: Session, row: PortalSession) -> tuple[ShownItem, ...]:
    """The newest that ended of this subject's."""
    newest = _items(row).order_by(Revocation.requested_at.desc(), Revocation.id, RevocationItem.number).limit(SHOWN)
    return tuple(_shown(broker, session, *found, row.locale) for found in session.execute(newest))


def receipt(broker: Broker, row: PortalSession, revocation_id: str) -> ShownReceipt:
    """What one revocation ended of this subject's. Raises `NotFound` where that is nothing."""
    query = _items(row).where(Revocation.id == revocation_id).order_by(RevocationItem.number)
    with broker.database.read() as session:
        found = session.execute(query).all()
        items = tuple(_shown(broker, session, *one, row.locale) for one in found)
    if not found:
        raise NotFound
    revocation = found[0][1]
    return ShownReceipt(
        id=revocation.id,
        when=items[0].told_when,
        by=items[0].by,
        items=items,
        is_pending=any(item.is_pending for item in items),
        is_own=revocation.subject == row.subject,
    )


def _items(row: PortalSession) -> Select[RevocationItem, Revocation, Connection]:
    return (
        select(RevocationItem, Revocation, Connection)
        .join(Revocation, Revocation.id == RevocationItem.revocation_id)
        .join(Connection, Connection.id == RevocationItem.connection_id)
        .where(Connection.tenant == row.tenant, Connection.subject == row.subject)
    )


def _shown(
    broker: Broker,
    session: Session,
    item: RevocationItem,
    revocation: Revocation,
    connection: Connection,
    locale: str,
) -> ShownItem:
    texts, provider = TEXTS[locale], provider_title(broker, item.provider)
    account = account_label(broker, session, connection, locale)
    title = connector_title(broker, item.connector or "", locale)
    ended_at = moment(revocation.effective_at, locale)
    told = item.provider_outcome in ("confirmed", "already_gone", "pending")
    return ShownItem(
        revocation=revocation.id,
        what=texts[f"ended_{item.ended}"].format(title=title, account=account),
        when=texts["ended_on"].format(moment=ended_at),
        told_when=texts["done_lead"].format(moment=ended_at),
        by=texts[_by(revocation)],
        outcome=texts[item.provider_outcome].format(provider=provider),
        is_pending=item.provider_outcome == "pending",
        shredded=_shredded(item, locale) if item.ended == "connection" else None,
        settings=None if told else provider_settings(broker, item.provider, locale),
    )


def _by(revocation: Revocation) -> str:
    if revocation.client_id is None:
        return "by_provider"
    return "by_subject" if revocation.client_id == SUBJECT else "by_app"


def _shredded(item: RevocationItem, locale: str) -> str:
    texts = TEXTS[locale]
    return (
        texts["shredded"].format(moment=moment(item.shredded_at, locale)) if item.shredded_at else texts["not_shredded"]
    )
