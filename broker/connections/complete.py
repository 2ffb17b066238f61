"""Complete: the provider's answer comes back through the browser. The code is kept sealed, unspent.

Nothing is exchanged here: only the sales app's server, which knows who is logged in, can confirm
(docs/facts/security.md STD-01). A `state` is used once, in one statement, by the browser that began (STD-02, STD-05).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit, urlunsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from broker.apps import AppRemoved
from broker.connections.begin import cookie_name
from broker.connections.sessions import end_session, noted, open_flow, seal_flow
from broker.endpoints import Endpoints
from broker.errors import InvalidRequest
from broker.failpoint import failpoint
from broker.models import ConnectSession
from broker.providers.base import Provider
from broker.runtime import Broker
from broker.secret import Secret, digest, fresh_token

CONFIRM_LIFETIME = timedelta(minutes=10)
LONGEST = {"state": 256, "code": 2048, "error": 256, "error_code": 64, "iss": 512}
NEVER = ("access_token", "id_token", "refresh_token")
"""Only the implicit flow brings these through a browser, and we never ask for it."""


@dataclass(frozen=True)
class Callback:
    """A callback's query, each parameter at most once. Unverified until `complete` has looked at it."""

    state: str
    code: Secret | None
    error: str | None
    issuer: str | None

    @classmethod
    def parse(cls, query: Mapping[str, Sequence[str]]) -> "Callback":
        """Raises `InvalidRequest` (400) for repeated, missing, over-long or contradictory parameters (INP-52)."""
        values = {name: _single(query, name, longest) for name, longest in LONGEST.items()}
        state, code, error = values["state"], values["code"], values["error"] or _numbered(values["error_code"])
        if state is None or (code is None) == (error is None) or any(name in query for name in NEVER):
            raise _refused()
        return cls(state, None if code is None else Secret(code), error, values["iss"])


def complete(broker: Broker, provider: str, own: str | None, callback: Callback, cookies: Mapping[str, str]) -> str:
    """Take the provider's answer and say where the browser goes: the return URL with session, status and code.

    `own`: the tenant's own app on whose path it came; None: the path of the shared one. Raises `InvalidRequest` (400)
    for another browser, another provider or app, a replay, an expired or unknown state, an app that was removed.
    """
    row = _session_of(broker, provider, own, callback.state, cookies)
    checks_out = _issuer_is(_endpoints(broker, row), callback.issuer)
    code = callback.code and _bare(broker.provider(row.provider), callback.code)
    confirm_code = fresh_token()
    with broker.database.write() as session:
        row = _use_state(broker, session, callback.state)
        if code and checks_out:
            _keep_code(broker, session, row, code, confirm_code)
        else:
            denied = callback.error == "access_denied" and checks_out
            end_session(broker, session, row, "denied" if denied else "failed", actor="provider")
    if not checks_out:
        raise _refused()
    failpoint("complete.stored")
    parameters = {"session": row.id, "status": row.status}
    return returned(row.return_url, parameters | ({"code": confirm_code.reveal()} if code else {}))


def returned(return_url: str, parameters: Mapping[str, str]) -> str:
    """The registered return URL with our parameters behind its own."""
    parts = urlsplit(return_url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _numbered(error_code: str | None) -> str | None:
    """Facebook's second form of an error: its number alone, never that the user refused (docs/facts/meta.md §1.2)."""
    return None if error_code is None else "server_error"


def _single(query: Mapping[str, Sequence[str]], name: str, longest: int) -> str | None:
    """The parameter, or None. Standing twice, in brackets or empty it is no parameter of ours."""
    values = query.get(name, ())
    if len(values) > 1 or any(other.startswith(f"{name}[") for other in query):
        raise _refused()
    value = values[0] if values else None
    if value is not None and not (0 < len(value) <= longest and value.isascii() and value.isprintable()):
        raise _refused()
    return value


def _refused() -> InvalidRequest:
    return InvalidRequest(
        "This answer does not belong to a connection that was begun here. Start again in the app.", status=400
    )


def _session_of(
    broker: Broker, provider: str, own: str | None, state: str, cookies: Mapping[str, str]
) -> ConnectSession:
    """The session that this very browser began at this very provider app, its state still unused."""
    with broker.database.read() as session:
        row = session.scalar(select(ConnectSession).where(ConnectSession.state_hash == digest(state)))
    if row is None or row.state_used_at or row.expires_at <= broker.clock():
        raise _refused()
    if row.provider != provider or own != (None if row.app_id == provider else row.app_id):
        raise _refused()
    cookie = cookies.get(cookie_name(broker, row.id))
    if not cookie or digest(cookie) != row.browser_hash:
        raise _refused()
    return row


def _endpoints(broker: Broker, row: ConnectSession) -> Endpoints:
    try:
        return broker.endpoints(broker.app(row.app_id))
    except AppRemoved:
        raise _refused() from None


def _issuer_is(endpoints: Endpoints, issuer: str | None) -> bool:
    """RFC 9207 §2.4: exact comparison; a missing one passes only where the provider never promised it."""
    return (issuer,) == endpoints.issuers[:1] if issuer is not None else not endpoints.issuer_in_callback


def _bare(provider: Provider, received: Secret) -> Secret:
    """The code without what the provider hangs on it. Raises `InvalidRequest` where nothing is left."""
    code = provider.code(received.reveal())
    if not code:
        raise _refused()
    return Secret(code)


def _use_state(broker: Broker, session: Session, state: str) -> ConnectSession:
    """STD-05: one statement decides which of many equal callbacks is the one."""
    now = broker.clock()
    statement = (
        update(ConnectSession)
        .where(ConnectSession.state_hash == digest(state), ConnectSession.state_used_at.is_(None))
        .where(ConnectSession.status == "open", ConnectSession.expires_at > now)
        .values(state_used_at=now)
        .returning(ConnectSession.id)
    )
    session_id = session.scalar(statement)
    row = session.get(ConnectSession, session_id) if session_id else None
    if row is None:
        raise _refused()
    return row


def _keep_code(broker: Broker, session: Session, row: ConnectSession, code: Secret, confirm_code: Secret) -> None:
    flow = {name: value.reveal() for name, value in open_flow(broker, session, row).items()}
    seal_flow(broker, session, row, flow | {"code": code.reveal()})
    row.status, row.outcome = "pending", None
    row.confirm_code_hash = digest(confirm_code.reveal())
    row.expires_at = broker.clock() + CONFIRM_LIFETIME
    noted(session, row, "session.pending", actor="provider")
