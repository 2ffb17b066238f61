"""Ending, as the subject does it: asked first what would end, then by the same path as by the API (docs/adr/0007)."""

from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from broker.clients import Caller
from broker.connections import mass, matching, receipts, revoke
from broker.errors import NotFound
from broker.models import Connection, Grant, PortalSession
from broker.portal.history import SUBJECT, receipt
from broker.portal.names import account_label, connector_title, provider_title
from broker.portal.texts import TEXTS, number
from broker.portal.view import live, own
from broker.runtime import Broker

REASON = "portal"


@dataclass(frozen=True)
class Wanted:
    """One connector of a connection, a connection, or with neither named everything of the subject's."""

    connection: str | None = None
    connector: str | None = None


@dataclass(frozen=True)
class Question:
    """What the subject is asked before anything ends."""

    title: str
    lead: str
    yes: str


def question(broker: Broker, row: PortalSession, wanted: Wanted) -> Question | None:
    """None where there is nothing left to end. Raises `NotFound` for what is not this subject's."""
    texts = TEXTS[row.locale]
    with broker.database.read() as session:
        if wanted.connection is None:
            return _of_all(session, row)
        connection = _own(session, row, wanted.connection)
        granted = session.scalars(_granted(connection)).all()
        if not connection.live or (wanted.connector and wanted.connector not in granted):
            return None
        names = {
            "account": account_label(broker, session, connection, row.locale),
            "provider": provider_title(broker, connection.provider),
            "title": connector_title(broker, wanted.connector or "", row.locale),
        }
    kind = "connection" if wanted.connector is None else "grant"
    lead = "last" if wanted.connector and len(granted) == 1 else kind
    return Question(
        title=texts[f"confirm_{kind}"].format(**names),
        lead=texts[f"confirm_{lead}_lead"].format(**names),
        yes=texts[f"yes_{kind}"],
    )


def end(broker: Broker, row: PortalSession, wanted: Wanted) -> str | None:
    """End it, and give the revocation's id; repeated, the same. None where there was nothing.

    Raises `NotFound` for what is not this subject's, `Unavailable` where it could not be made durable.
    """
    caller = _caller(row)
    if wanted.connection is None:
        return _end_all(broker, caller, row)
    with broker.database.read() as session:
        _own(session, row, wanted.connection)
    if wanted.connector is None:
        ended = revoke.end_connection(broker, caller, wanted.connection, reason=REASON)
    else:
        ended = revoke.end_grant(broker, caller, wanted.connection, wanted.connector, reason=REASON)
    return str(ended.receipt["id"])


def signed_receipt(broker: Broker, row: PortalSession, revocation_id: str) -> str:
    """Raises `NotFound` for a receipt that is not about this subject alone."""
    if not receipt(broker, row, revocation_id).is_own:
        raise NotFound
    return str(receipts.receipt(broker, _caller(row), revocation_id)["jws"])


def _end_all(broker: Broker, caller: Caller, row: PortalSession) -> str | None:
    ended = mass.end_all(broker, caller, matching.Wanted(row.tenant, row.subject), REASON)
    return str(ended.receipt["id"]) if ended.receipt["connections"] else None


def _caller(row: PortalSession) -> Caller:
    """The subject: no client, with no right but to end what `_own` found to be its own."""
    nothing = frozenset[str]()
    return Caller(SUBJECT, nothing, frozenset({row.tenant}), nothing, nothing)


def _own(session: Session, row: PortalSession, connection_id: str) -> Connection:
    """Raises `NotFound`: another subject's, or another tenant's, is like none."""
    found = session.scalar(own(row).where(Connection.id == connection_id))
    if found is None:
        raise NotFound
    return found


def _granted(connection: Connection) -> Select[str]:
    """The connectors that may still read."""
    return select(Grant.connector).where(Grant.connection_id == connection.id, Grant.live.is_(True))


def _of_all(session: Session, row: PortalSession) -> Question | None:
    texts = TEXTS[row.locale]
    count = session.scalar(select(func.count()).select_from(live(row).subquery())) or 0
    if not count:
        return None
    lead = texts["confirm_all_one"] if count == 1 else texts["confirm_all_lead"]
    return Question(texts["confirm_all"], lead.format(count=number(count, row.locale)), texts["yes_connection"])
