"""Portal sessions: from the sales app's request, through a link, to one browser.

    begin  ─►  a link, good for 10 minutes         GET and HEAD of it change nothing, however often
    enter  ─►  the first browser that sends the form gets a cookie; the link is worth nothing to any other
    visit  ─►  each request: the cookie, the times, and that the client still vouches for the subject
    leave  ─►  the end; the sweep forgets what was not left

The link's secret and the cookie are stored hashed. The address of the page holds neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import audit, privacy
from broker.clients import Caller
from broker.connections.begin import cookie_name
from broker.connections.read import rfc3339
from broker.errors import InvalidRequest
from broker.models import Client, PortalSession
from broker.runtime import Broker
from broker.secret import Secret, digest, fresh_id, fresh_token

LINK_LIFETIME = timedelta(minutes=10)
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=2)
"""A session in all, however much it is used."""
NOTICED = timedelta(minutes=1)
"""Use within so long after the last one is not written down."""


@dataclass(frozen=True)
class Begun:
    """A portal session that waits for its browser."""

    id: str
    link: Secret
    expires_at: datetime


@dataclass(frozen=True)
class Entry:
    """How a browser gets in: the session's id, and a cookie, `value` None where it holds it already."""

    session_id: str
    cookie: str
    value: Secret | None


def begin(broker: Broker, caller: Caller, *, tenant: str, subject: str, return_url: str, locale: str) -> Begun:
    """Make a link for a subject that the caller vouches for. Raises `NotFound` for a foreign tenant, `InvalidRequest`
    for a return URL that is not registered."""
    caller.require_tenant(tenant)
    if return_url not in caller.return_urls:
        problem = "must equal one that is registered for this client"
        raise InvalidRequest(f"return_url: {problem}.", errors=[{"field": "return_url", "problem": problem}])
    link, now = fresh_token(), broker.clock()
    row = PortalSession(
        id=fresh_id("por"),
        client_id=caller.client_id,
        tenant=tenant,
        subject=subject,
        return_url=return_url,
        locale=locale,
        link_hash=digest(link.reveal()),
        created_at=now,
        expires_at=now + LINK_LIFETIME,
    )
    with broker.database.write() as session:
        session.add(row)
        noted(session, row, "portal.begun", actor=caller.client_id)
    return Begun(row.id, link, row.expires_at)


def knock(broker: Broker, link: str, cookies: Mapping[str, str]) -> PortalSession:
    """The session of a link as it stands, nothing changed: not entered yet, or entered by this very browser.

    Raises `InvalidRequest` (400) for one that is unknown, expired, or another browser's.
    """
    with broker.database.read() as session:
        return _linked(broker, session, link, cookies)


def enter(broker: Broker, link: str, cookies: Mapping[str, str]) -> Entry:
    """Bind the browser, once; the same one may send the form again. Raises `InvalidRequest` (400)."""
    cookie, now = fresh_token(), broker.clock()
    with broker.database.write() as session:
        row = _linked(broker, session, link, cookies, lock=True)
        name = cookie_name(broker, row.id)
        if row.browser_hash is not None:
            return Entry(row.id, name, None)
        row.browser_hash, row.opened_at, row.expires_at = digest(cookie.reveal()), now, now + IDLE
        noted(session, row, "portal.opened")
    return Entry(row.id, name, cookie)


def visit(broker: Broker, session_id: str, cookies: Mapping[str, str]) -> PortalSession:
    """The session of a browser that entered it, kept alive by this. Raises `InvalidRequest` (400)."""
    now = broker.clock()
    with broker.database.read() as session:
        row = _entered(broker, session, session_id, cookies)
    until = _until(row, now)
    if until - row.expires_at >= NOTICED:
        with broker.database.write() as session:
            row = _entered(broker, session, session_id, cookies, lock=True)
            row.expires_at = _until(row, now)
    return row


def speak(broker: Broker, session_id: str, cookies: Mapping[str, str], locale: str) -> None:
    """The language from now on. Raises `InvalidRequest` (400)."""
    with broker.database.write() as session:
        _entered(broker, session, session_id, cookies, lock=True).locale = locale


def leave(broker: Broker, session_id: str, cookies: Mapping[str, str]) -> str:
    """The end of a session; where the browser goes back to. Raises `InvalidRequest` (400)."""
    with broker.database.write() as session:
        row = _entered(broker, session, session_id, cookies, lock=True)
        noted(session, row, "portal.left")
        session.delete(row)
    return row.return_url


def exported(broker: Broker, row: PortalSession, form: str) -> dict[str, Any]:
    """Everything held about the subject, which is said in the audit first. Raises `Unavailable`."""
    with broker.database.write() as session:
        noted(session, row, "portal.exported", form=form)
    return privacy.export(broker, row.tenant, row.subject)


def form_token(row: PortalSession) -> str:
    """What the forms of this browser's pages carry; nobody learns it from the address or makes it without the
    cookie (docs/facts/security.md INP-51)."""
    return digest(f"form:{(row.browser_hash or b'').hex()}").hex()


def noted(session: Session, row: PortalSession, action: str, *, actor: str = "subject", **detail: str) -> None:
    audit.note(session, action, tenant=row.tenant, actor=actor, subject=row.subject, portal=row.id, **detail)


def described(begun: Begun, public_url: str) -> dict[str, str | None]:
    """As the sales app is told."""
    url = f"{public_url}/portal/open/{begun.link.reveal()}"
    return {"id": begun.id, "url": url, "expires_at": rfc3339(begun.expires_at)}


def _until(row: PortalSession, now: datetime) -> datetime:
    return min(now + IDLE, (row.opened_at or row.created_at) + LONGEST)


def _linked(
    broker: Broker, session: Session, link: str, cookies: Mapping[str, str], *, lock: bool = False
) -> PortalSession:
    query = select(PortalSession).where(PortalSession.link_hash == digest(link))
    row = _standing(broker, session, session.scalar(query.with_for_update() if lock else query))
    if row.browser_hash is not None and not _is_its(broker, row, cookies):
        raise _over()
    return row


def _entered(
    broker: Broker, session: Session, session_id: str, cookies: Mapping[str, str], *, lock: bool = False
) -> PortalSession:
    query = select(PortalSession).where(PortalSession.id == session_id)
    row = _standing(broker, session, session.scalar(query.with_for_update() if lock else query))
    if not _is_its(broker, row, cookies):
        raise _over()
    return row


def _is_its(broker: Broker, row: PortalSession, cookies: Mapping[str, str]) -> bool:
    value = cookies.get(cookie_name(broker, row.id))
    return value is not None and row.browser_hash == digest(value)


def _standing(broker: Broker, session: Session, row: PortalSession | None) -> PortalSession:
    """In time, and of a client that was not disabled since."""
    if row is None or row.expires_at <= broker.clock():
        raise _over()
    if session.get_one(Client, row.client_id).disabled_at is not None:
        raise _over()
    return row


def _over() -> InvalidRequest:
    return InvalidRequest("This link was used, has expired, or never existed. Start again in the app.", status=400)
