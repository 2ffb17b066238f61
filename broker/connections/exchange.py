"""Exchange: the code for tokens, once, and what they are: whose, granted what, fit to become a connection or not.

Nothing is stored here. Of what the provider granted only what the session asked for counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import scopes
from broker.config import ProviderApp
from broker.connections.assets import Assets, reported
from broker.errors import ConsentAgain, InsufficientScope, ProviderUnavailable, WrongAccount
from broker.models import Connection, ConnectSession
from broker.providers.base import Account, Provider, Report
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import TokenAnswer, TokenRefused


@dataclass(frozen=True)
class Claimed:
    """This call, and no other, may exchange the session's code."""

    row: ConnectSession
    code: Secret
    code_verifier: Secret
    nonce: Secret


@dataclass(frozen=True)
class Exchanged:
    """What the exchange brought, checked: whose it is and what was granted."""

    answer: TokenAnswer
    account: Account
    account_index: bytes
    granted: frozenset[str]
    report: Report
    scoped_index: bytes | None = None
    """That of the account's other id (`Account.scoped_id`)."""
    assets: Mapping[str, Assets] = field(default_factory=dict)
    """connector → what the provider reports to choose from."""


def exchange(broker: Broker, claim: Claimed) -> TokenAnswer:
    """Spend the code. Raises `ProviderUnavailable`, `RateLimited`; whatever it says, the session is over."""
    line = broker.line(claim.row.app_id)
    with _refusals("the authorization code"):
        return broker.providers[line.app.provider].exchange(line, claim.code, claim.code_verifier)


def lasting(broker: Broker, claim: Claimed, answer: TokenAnswer, last_call: float) -> TokenAnswer:
    """The token that is kept; `last_call` as for `with_assets`. Raises as `exchange`, and `Unavailable`."""
    line = broker.line(claim.row.app_id, begin_by=last_call)
    with _refusals("to prolong the token"):
        return broker.providers[line.app.provider].lasting(line, answer)


def checked(broker: Broker, claim: Claimed, answer: TokenAnswer, last_call: float) -> Exchanged:
    """Whose it is and what was granted, as the provider says it to us alone. Raises `ProviderUnavailable`,
    `Unavailable`."""
    line = broker.line(claim.row.app_id, begin_by=last_call)
    requested = frozenset(claim.row.requested_scopes)
    with _refusals("to say whose the token is"):
        report = broker.providers[line.app.provider].report(line, answer, claim.nonce.reveal(), requested)
    with broker.database.write() as session:
        index = account_index(broker, session, line.app, report.account.id)
        scoped_id = report.account.scoped_id
        scoped = account_index(broker, session, line.app, scoped_id) if scoped_id else None
    return Exchanged(answer, report.account, index, report.granted or frozenset(), report, scoped)


def account_index(broker: Broker, session: Session, app: ProviderApp, account_id: str) -> bytes:
    """By which an account is found without its id."""
    return account_indexes(broker, session, app, [account_id])[0]


def account_indexes(broker: Broker, session: Session, app: ProviderApp, account_ids: Iterable[str]) -> list[bytes]:
    """`account_index` of each."""
    return broker.vault.blind_indexes(session, provider=app.id, client_id=app.client_id, values=account_ids)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """A refusal of the provider's, as the error that ends the session."""
    try:
        yield
    except TokenRefused as refusal:
        detail = f"The provider refused {what} ({refusal}). Start again."
        raise ProviderUnavailable(detail, retryable=False) from None


def judge(broker: Broker, row: ConnectSession, exchanged: Exchanged) -> None:
    """Raises `WrongAccount`, `InsufficientScope` or `ConsentAgain`."""
    provider = broker.provider(row.provider)
    if row.renews and exchanged.account_index != row.account_index:
        raise WrongAccount("The user chose another account than the one this connection is for.")
    granted = _counted(row, exchanged)
    missing = {name: _missing(broker, provider, name, granted) for name in row.ticked}
    if all(missing.values()):
        raise InsufficientScope(
            "The user granted none of the connectors what it needs.",
            status=409,
            missing_scopes=sorted({scope for scopes_of in missing.values() for scope in scopes_of}),
            source="broker",
        )
    with broker.database.read() as session:
        held = live_of(session, row, exchanged.account_index)
    if lacks_lasting_access(provider, exchanged.answer, held):
        raise ConsentAgain("The provider gave no lasting access.")


def _counted(row: ConnectSession, exchanged: Exchanged) -> frozenset[str]:
    """Of what the provider granted only what this session asked for: the rest was never shown to the user here,
    though it may come along (docs/facts/google.md §1.6, 4)."""
    return exchanged.granted & frozenset(row.requested_scopes)


def with_assets(broker: Broker, row: ConnectSession, exchanged: Exchanged, last_call: float) -> Exchanged:
    """What the provider reports now is the bound of what may be chosen; later reports are no part of the grant.

    `last_call`: monotonic seconds after which the provider is not asked any more. Raises `ProviderUnavailable`.
    """
    line = broker.line(row.app_id, begin_by=last_call)
    provider, token, granted = broker.provider(row.provider), exchanged.answer.access_token, _counted(row, exchanged)
    bounds = exchanged.report.bounds
    offered = {name: reported(line, provider, broker.connector(name), token, granted, bounds) for name in row.ticked}
    return replace(exchanged, assets=offered)


def _missing(broker: Broker, provider: Provider, connector_name: str, granted: frozenset[str]) -> tuple[str, ...]:
    connector = broker.connector(connector_name)
    table = provider.resources[connector.reads.resource].fields
    return scopes.missing(connector.reads.required, table, granted)


def live_of(session: Session, row: ConnectSession, account_index: bytes, *, lock: bool = False) -> Connection | None:
    """The subject's live connection to this account."""
    query = select(Connection).where(
        Connection.tenant == row.tenant,
        Connection.subject == row.subject,
        Connection.app_id == row.app_id,
        Connection.account_index == account_index,
        Connection.live.is_(True),
    )
    return session.scalar(query.with_for_update() if lock else query)


def lacks_lasting_access(provider: Provider, answer: TokenAnswer, held: Connection | None) -> bool:
    """No refresh token came, one is needed, and no living one is held (docs/facts/google.md §1.4)."""
    if answer.refresh_token or not provider.needs_refresh_token:
        return False
    return held is None or held.refresh_token is None or held.state == "reconnect_required"
