"""Begin: a connect session, from the sales app's request to the browser's way to the provider.

No scope comes from outside: they are derived from what the connectors read. A GET changes nothing.
"""

import base64
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import apps, ledger, scopes
from broker.apps import AppRemoved
from broker.clients import Caller
from broker.config import ProviderApp
from broker.connections.hints import held_scopes, hints
from broker.connections.read import live_connection
from broker.connections.sessions import end_session, noted, open_flow, open_people, seal_flow, sealed_people
from broker.consent import ConsentText, consent_text
from broker.contract import Connector
from broker.errors import InvalidRequest, NotFound
from broker.failpoint import failpoint
from broker.models import Connection, ConnectSession
from broker.providers.base import Provider
from broker.runtime import Broker
from broker.secret import Secret, digest, fresh_id, fresh_token

TICKET_LIFETIME = timedelta(minutes=10)
"""For the page to be answered; the way through the provider has as long again (STD-08)."""
SESSION_LIFETIME = timedelta(hours=1)
"""In all: sending the form again and again does not keep a link alive for ever (STD-09)."""


@dataclass(frozen=True)
class SessionRequest:
    """What the sales app asks for; see contract §3 for each member."""

    tenant: str
    subject: str
    provider: str
    connectors: Sequence[str]
    return_url: str
    subject_label: str | None = None
    tenant_label: str | None = None
    purpose: str | None = None
    privacy_url: str | None = None
    locale: str = "en"
    login_hint: str | None = None
    connection: str | None = None


@dataclass(frozen=True)
class Page:
    """An open session as its consent page needs it."""

    session_id: str
    text: ConsentText
    privacy_url: str | None
    return_url: str
    connectors: tuple[str, ...]
    all_or_nothing: bool
    authorization_endpoint: str


@dataclass(frozen=True)
class Departure:
    """The browser's way to the provider, and the cookie that binds it."""

    url: str
    cookie: str
    value: Secret


def wanted_scopes(connectors: Collection[Connector], provider: Provider) -> list[str]:
    """Identity scopes and all that the connectors' fields need: the least, never more (STD-20)."""
    wanted = set(provider.identity_scopes)
    for connector in connectors:
        wanted |= set(connector_scopes(connector, provider))
    return sorted(provider.normalised(frozenset(wanted)))


def connector_scopes(connector: Connector, provider: Provider) -> tuple[str, ...]:
    """Required and optional scopes of one connector."""
    table = provider.resources[connector.reads.resource].fields
    found = [*scopes.required_scopes(connector.reads, table), *scopes.optional_scopes(connector.reads, table)]
    if connector.choices:
        found += scopes.needed(connector.choices.fields, provider.resources[connector.choices.resource].fields)
    return tuple(sorted(provider.normalised(frozenset(found))))


def begin(
    broker: Broker, caller: Caller, request: SessionRequest, *, repeated: str | None = None
) -> tuple[ConnectSession, Secret]:
    """Store a session and give its one ticket. Raises `InvalidRequest`, `NotFound`.

    `repeated`: an id that is the same when the request is repeated because its answer was lost; then the session that
    was stored the first time gets a new ticket in place of the lost one (REL-01).
    """
    caller.require_tenant(request.tenant)
    provider = broker.provider(request.provider)
    app_id = broker.app_for(provider, request.tenant).id
    connectors = _chosen(broker, provider, request.connectors)
    if request.return_url not in caller.return_urls:
        raise _invalid("return_url", "must equal one that is registered for this client")
    ticket, now = fresh_token(), broker.clock()
    session_id = f"ses_{repeated}" if repeated else fresh_id("ses")
    people = {"subject_label": request.subject_label, "login_hint": request.login_hint}
    with broker.database.write() as session:
        if earlier := session.get(ConnectSession, session_id, with_for_update=True):
            earlier.ticket_hash = digest(ticket.reveal())
            return earlier, ticket
        renewed = _renewed(broker, session, caller, request, provider)
        broker.vault.new_key(session, tenant=request.tenant, connection=f"session:{session_id}")
        row = ConnectSession(
            id=session_id,
            client_id=caller.client_id,
            tenant=request.tenant,
            subject=request.subject,
            provider=provider.name,
            app_id=renewed.app_id if renewed else app_id,
            connectors=[connector.name for connector in connectors],
            ticked=[],
            return_url=request.return_url,
            locale=request.locale,
            purpose=request.purpose,
            privacy_url=request.privacy_url,
            tenant_label=request.tenant_label,
            people=sealed_people(broker, session, session_id, request.tenant, people),
            renews=renewed.id if renewed else None,
            account_index=renewed.account_index if renewed else None,
            force_consent=bool(renewed and renewed.state == "reconnect_required"),
            status="open",
            ticket_hash=digest(ticket.reveal()),
            requested_scopes=wanted_scopes(connectors, provider),
            created_at=now,
            expires_at=now + TICKET_LIFETIME,
        )
        session.add(row)
        noted(session, row, "session.begun", actor=caller.client_id, connectors=row.connectors, renews=row.renews)
    failpoint("begin.stored")
    return row, ticket


def page(broker: Broker, ticket: str) -> Page:
    """The open session of a ticket; nothing is changed, however often (STD-11).

    Raises `InvalidRequest` (400) where it is unknown, used, expired or its provider app removed, `ProviderUnavailable`
    as `approve` would.
    """
    with broker.database.read() as session:
        row = _open_session(session, ticket, broker.clock())
        people = open_people(broker, session, row)
    with _over_if_removed():
        app = broker.app(row.app_id)
    return Page(
        session_id=row.id,
        text=_text(broker, row, app, people),
        privacy_url=row.privacy_url,
        return_url=row.return_url,
        connectors=tuple(row.connectors),
        all_or_nothing=broker.providers[app.provider].all_or_nothing(app.options),
        authorization_endpoint=broker.upstream.mapped(broker.endpoints(app).authorization),
    )


def approve(broker: Broker, ticket: str, ticked: Collection[str]) -> Departure:
    """The user said yes to `ticked`: bind the browser, and send it to the provider (state, PKCE, nonce).

    Sending the form again makes the earlier departure's state worthless. Raises `InvalidRequest` (400).
    """
    state, cookie, verifier, nonce = fresh_token(), fresh_token(), fresh_token(), fresh_token()
    with _over_if_removed():
        line = broker.line(_app_of(broker, ticket))
    provider = broker.providers[line.app.provider]
    now = broker.clock()
    with broker.database.write() as session:
        row = _open_session(session, ticket, now, lock=True)
        people = open_people(broker, session, row)
        chosen = _ticked(row, ticked, all_or_nothing=provider.all_or_nothing(line.app.options))
        row.ticked = [connector for connector in row.connectors if connector in chosen]
        row.consent_text_hash = ledger.keep_wording(session, _text(broker, row, line.app, people), now)
        connectors = [broker.connector(name) for name in row.ticked]
        wanted = frozenset(wanted_scopes(connectors, provider)) | held_scopes(session, row, provider)
        row.requested_scopes = sorted(provider.asked(wanted, line))
        row.state_hash, row.browser_hash = digest(state.reveal()), digest(cookie.reveal())
        row.began_at, row.expires_at = now, min(now + TICKET_LIFETIME, row.created_at + SESSION_LIFETIME)
        _seal_departure(broker, session, row, verifier, nonce)
        known = hints(broker, session, row, people["login_hint"])
        text = row.consent_text_hash
        noted(session, row, "session.approved", actor="subject", connectors=row.ticked, consent_text_hash=text)
        session_id = row.id
    failpoint("approve.stored")
    url = broker.upstream.authorization_url(
        endpoint=line.endpoints.authorization,
        client_id=line.app.client_id,
        redirect_uri=line.redirect_uri,
        scope=provider.scope_value(known.requested, line),
        state=state.reveal(),
        code_challenge=challenge(verifier) if provider.uses_pkce(line) else None,
        extra=({"nonce": nonce.reveal()} if provider.is_openid else {}) | provider.authorize_parameters(known, line),
    )
    return Departure(broker.upstream.mapped(url), cookie_name(broker, session_id), cookie)


def deny(broker: Broker, ticket: str) -> tuple[str, str]:
    """The user said no here: (session id, return URL). Raises `InvalidRequest` (400)."""
    with broker.database.write() as session:
        row = _open_session(session, ticket, broker.clock(), lock=True)
        end_session(broker, session, row, "denied", actor="subject")
        return row.id, row.return_url


def cookie_name(broker: Broker, session_id: str) -> str:
    """`__Host-` ties the cookie to this very host; browsers take it over https only."""
    prefix = "__Host-" if broker.settings.public_url.startswith("https://") else ""
    return f"{prefix}broker-{session_id}"


def challenge(verifier: Secret) -> str:
    """RFC 7636 §4.2, S256."""
    hashed = hashlib.sha256(verifier.reveal().encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def _chosen(broker: Broker, provider: Provider, names: Sequence[str]) -> list[Connector]:
    if not names or len(set(names)) != len(names):
        raise _invalid("connectors", "name at least one, and none twice")
    for name in names:
        if name not in broker.connectors:
            raise _invalid("connectors", f"there is no connector {name[:64]!r}")
        if broker.connectors[name].provider != provider.kind:
            raise _invalid("connectors", f"{name} does not belong to provider {provider.name}")
    return [broker.connectors[name] for name in names]


def _renewed(
    broker: Broker, session: Session, caller: Caller, request: SessionRequest, provider: Provider
) -> Connection | None:
    """The connection to renew: at the provider app that it was made by, for its account is known there alone."""
    if request.connection is None:
        return None
    row = live_connection(session, caller, request.connection)
    if (row.tenant, row.subject) != (request.tenant, request.subject):
        raise NotFound
    if row.provider != provider.name:
        raise _invalid("connection", "belongs to another provider")
    if row.app_id not in broker.settings.apps and not apps.is_live(session, row.app_id):
        raise _invalid("connection", "its provider app is gone: connect without naming it, and revoke it")
    return row


def _invalid(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {problem}.", errors=[{"field": field, "problem": problem}])


def _open_session(session: Session, ticket: str, now: datetime, *, lock: bool = False) -> ConnectSession:
    query = select(ConnectSession).where(ConnectSession.ticket_hash == digest(ticket))
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None or row.status != "open" or row.expires_at <= now or row.state_used_at:
        raise _over()
    return row


def _over() -> InvalidRequest:
    return InvalidRequest("This link was used, has expired, or never existed. Start again in the app.", status=400)


@contextmanager
def _over_if_removed() -> Iterator[None]:
    """The session cannot go on at a provider app that was removed since it began."""
    try:
        yield
    except AppRemoved:
        raise _over() from None


def _app_of(broker: Broker, ticket: str) -> str:
    with broker.database.read() as session:
        return _open_session(session, ticket, broker.clock()).app_id


def _text(broker: Broker, row: ConnectSession, app: ProviderApp, people: Mapping[str, str | None]) -> ConsentText:
    provider = broker.providers[app.provider]
    return consent_text(
        provider,
        [broker.connector(name) for name in row.connectors],
        may_choose=not provider.all_or_nothing(app.options),
        locale=row.locale,
        tenant_label=row.tenant_label,
        subject_label=people["subject_label"],
        purpose=row.purpose,
    )


def _seal_departure(broker: Broker, session: Session, row: ConnectSession, verifier: Secret, nonce: Secret) -> None:
    """What the exchange will need, beside the ticket of a second trip, which a repeated confirm still names."""
    kept = open_flow(broker, session, row) if row.flow else {}
    flow = {"code_verifier": verifier.reveal(), "nonce": nonce.reveal()}
    seal_flow(broker, session, row, flow | {name: kept[name].reveal() for name in ("ticket",) if name in kept})


def _ticked(row: ConnectSession, ticked: Collection[str], *, all_or_nothing: bool) -> set[str]:
    if all_or_nothing:
        return set(row.connectors)
    unknown = set(ticked) - set(row.connectors)
    if unknown or not ticked:
        raise InvalidRequest("Tick at least one of the connectors shown, or go back.", status=400)
    return set(ticked)
