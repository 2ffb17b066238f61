"""Confirm: the sales app's server says who is logged in; now, and only now, the code is exchanged.

    claim the session ─► exchange ─► verify id_token ─► judge ─► activate

Before it no token exists, and whatever fails leaves an existing connection as it was: a token that the attempt
obtained becomes an orphan, and a duty tells the provider (I5). A repeated confirm answers as the first did.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.clients import Caller
from broker.connections.activate import Activated, Attempt, activate, insist
from broker.connections.begin import TICKET_LIFETIME
from broker.connections.exchange import Claimed, checked, exchange, judge, lasting, with_assets
from broker.connections.probe import TokenDead
from broker.connections.sessions import end_session, noted, open_flow, seal_flow
from broker.connections.tokens import orphan
from broker.errors import (
    BrokerError,
    ConsentAgain,
    Forbidden,
    NotFound,
    ProviderUnavailable,
    RateLimited,
    Unavailable,
)
from broker.failpoint import failpoint
from broker.models import ConnectSession
from broker.runtime import Broker
from broker.secret import Secret, digest, fresh_token

MAX_TRIES = 5
POLL = 0.05
MARGIN = 1.0
"""Seconds of the request's deadline left for what does not wait."""


@dataclass(frozen=True)
class _Refused:
    error: BrokerError


class _Wait:
    """Another call is exchanging."""


def status(broker: Broker, caller: Caller, session_id: str) -> str:
    """A session's status, to the client that made it. Raises `NotFound`."""
    with broker.database.read() as session:
        row = _own(session, caller, session_id)
    over = row.status in ("open", "pending") and row.expires_at <= broker.clock() and not row.exchange_began_at
    return "expired" if over else row.status


def confirm(
    broker: Broker,
    caller: Caller,
    session_id: str,
    *,
    subject: str,
    code: str,
    assets: Mapping[str, Sequence[str]],
) -> Activated:
    """Exchange and activate. Raises the errors of contract §3, step 5."""
    until = time.monotonic() + broker.settings.request_deadline - MARGIN
    while True:
        claim = _claim(broker, caller, session_id, subject, code)
        if isinstance(claim, Activated):
            return claim
        if isinstance(claim, _Refused):
            raise claim.error
        if isinstance(claim, Claimed):
            return _carry_out(broker, claim, assets, until)
        if time.monotonic() > until:
            raise Unavailable("Another confirmation of this session is under way. Repeat the request.")
        time.sleep(POLL)


def _carry_out(broker: Broker, claim: Claimed, assets: Mapping[str, Sequence[str]], until: float) -> Activated:
    """Nothing at the provider is begun that could not end before `until`."""
    attempt, session_id = Attempt(), claim.row.id
    last_call = until - broker.settings.provider_deadline
    try:
        failpoint("confirm.claimed")
        attempt.answer = exchange(broker, claim)
        failpoint("confirm.exchanged")
        attempt.answer = lasting(broker, claim, attempt.answer, last_call)
        exchanged = checked(broker, claim, attempt.answer, last_call)
        attempt.account_index = exchanged.account_index
        judge(broker, claim.row, exchanged)
        exchanged = with_assets(broker, claim.row, exchanged, last_call)
        activated = activate(broker, session_id, exchanged, assets, attempt, until=last_call)
        failpoint("confirm.activated")
        return activated
    except ConsentAgain:
        raise insist(lambda: _reopened(broker, session_id, attempt), until) from None
    except BrokerError as error:
        ended_with = _in_the_end(error)
        raise insist(lambda: _failed(broker, session_id, ended_with, attempt), until) from None
    except Exception:
        insist(lambda: _failed(broker, session_id, _interrupted(), attempt), until)
        raise


def _own(session: Session, caller: Caller, session_id: str, *, lock: bool = False) -> ConnectSession:
    query = select(ConnectSession).where(ConnectSession.id == session_id)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None or row.client_id != caller.client_id or not caller.acts_for(row.tenant):
        raise NotFound
    return row


def _claim(
    broker: Broker, caller: Caller, session_id: str, subject: str, code: str
) -> Claimed | _Refused | _Wait | Activated:
    """Decide in one transaction. A refusal is a value, so that the count of tries is kept."""
    now = broker.clock()
    with broker.database.write() as session:
        row = _own(session, caller, session_id, lock=True)
        if row.confirm_code_hash is None or not _matches(row, subject, code):
            return _Refused(_wrong(broker, session, row))
        if row.connection_id:
            return Activated.by(row)
        if row.outcome:
            return _Refused(_outcome(broker, session, row))
        if row.status == "pending" and row.exchange_began_at:
            return _overdue(broker, session, row) or _Wait()
        if row.status != "pending" or row.expires_at <= now:
            return _Refused(_expired(broker, session, row))
        row.exchange_began_at = now
        noted(session, row, "session.exchanging", actor=caller.client_id)
        flow = open_flow(broker, session, row)
    return Claimed(row, flow["code"], flow["code_verifier"], flow["nonce"])


def _matches(row: ConnectSession, subject: str, code: str) -> bool:
    return row.subject == subject and row.confirm_code_hash == digest(code)


def _wrong(broker: Broker, session: Session, row: ConnectSession) -> BrokerError:
    """Whoever has shown the right code is past guessing: an exchange under way is not cut off."""
    row.confirm_tries += 1
    if row.confirm_tries >= MAX_TRIES and row.status in ("open", "pending") and not row.exchange_began_at:
        end_session(broker, session, row, "failed")
    return Forbidden("Subject or code are not those of a pending session.")


def _expired(broker: Broker, session: Session, row: ConnectSession) -> BrokerError:
    if row.status in ("open", "pending"):
        end_session(broker, session, row, "expired")
    return Forbidden("The session is over. Start again.")


def _overdue(broker: Broker, session: Session, row: ConnectSession) -> _Refused | None:
    """The process that exchanged died on the way: the code is spent, and nobody knows what came of it (REL-04)."""
    patience = timedelta(seconds=2 * broker.settings.request_deadline)
    if row.exchange_began_at is None or broker.clock() < row.exchange_began_at + patience:
        return None
    return _Refused(lost(broker, session, row))


def lost(broker: Broker, session: Session, row: ConnectSession) -> BrokerError:
    """End a session whose exchange nobody finished. A token may live at the provider that nobody knows: the audit
    lists it as possibly orphaned (I5)."""
    error = _interrupted()
    _record(row, error)
    noted(session, row, "session.possibly_orphaned", actor="broker")
    end_session(broker, session, row, "failed")
    return error


def _in_the_end(error: BrokerError) -> BrokerError:
    """Not as something that passes: repeating this very request does not help, for the session is over."""
    if isinstance(error, Unavailable):
        return _interrupted()
    if isinstance(error, RateLimited):
        return ProviderUnavailable("The provider limits us for the moment. Start again later.")
    return error


def _interrupted() -> ProviderUnavailable:
    return ProviderUnavailable("The confirmation was interrupted. Start again.", retryable=False)


def _outcome(broker: Broker, session: Session, row: ConnectSession) -> BrokerError:
    """The error that the first confirm ended with."""
    kept: dict[str, Any] = row.outcome or {}
    if kept["code"] == ConsentAgain.code:
        ticket = open_flow(broker, session, row).get("ticket")
        return _consent_again(broker, ticket) if ticket else Forbidden("The user was sent to consent once more.")
    error = BrokerError(kept["detail"], status=kept["status"], retryable=kept["retryable"], **kept["members"])
    error.code, error.title = kept["code"], kept["title"]
    return error


def _reopened(broker: Broker, session_id: str, attempt: Attempt) -> BrokerError:
    """A second trip of the same session, on which the provider is asked to show its consent page."""
    ticket, now = fresh_token(), broker.clock()
    with broker.database.write() as session:
        row = session.get_one(ConnectSession, session_id)
        _orphan(broker, session, row, attempt)
        session.refresh(row, with_for_update=True)
        if row.status != "pending":
            return Forbidden("The session ended while it was being confirmed. Start again.")
        row.status, row.force_consent = "open", True
        row.account_index = attempt.account_index
        row.ticket_hash = digest(ticket.reveal())
        row.state_hash = row.browser_hash = row.state_used_at = row.exchange_began_at = None
        row.expires_at = now + TICKET_LIFETIME
        row.outcome = {"code": ConsentAgain.code}
        noted(session, row, "session.reopened", actor="provider")
        seal_flow(broker, session, row, {"ticket": ticket.reveal()})
    return _consent_again(broker, ticket)


def _consent_again(broker: Broker, ticket: Secret) -> ConsentAgain:
    url = f"{broker.settings.public_url}/connect/{ticket.reveal()}"
    return ConsentAgain("The provider gave no lasting access. Send the user to url once more.", url=url)


def _failed(broker: Broker, session_id: str, error: BrokerError, attempt: Attempt) -> BrokerError:
    """The session is over; what it obtained is an orphan, unless the provider has just called it dead."""
    with broker.database.write() as session:
        row = session.get_one(ConnectSession, session_id)
        if row.connection_id:  # set by a COMMIT of ours that seemed to fail; nobody else activates this session
            return Unavailable("The confirmation was made, and its answer was lost. Repeat the request.")
        if not isinstance(error, TokenDead):
            _orphan(broker, session, row, attempt)
        session.refresh(row, with_for_update=True)
        if not row.outcome:
            _record(row, error)
        if row.status == "pending":
            end_session(broker, session, row, "failed")
    return error


def _orphan(broker: Broker, session: Session, row: ConnectSession, attempt: Attempt) -> None:
    """Before the session's row is locked: a revocation locks the duty first."""
    if attempt.answer:
        orphan(
            broker,
            session,
            attempt.answer,
            tenant=row.tenant,
            app_id=row.app_id,
            account_index=attempt.account_index,
        )


def _record(row: ConnectSession, error: BrokerError) -> None:
    row.outcome = {
        "code": error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "retryable": error.retryable,
        "members": error.members,
    }
