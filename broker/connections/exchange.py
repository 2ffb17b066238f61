"""Exchange: the code for tokens, once, and what they are: whose, granted what, fit to become a connection or not.

Nothing is stored here. Of what the provider granted only what the session asked for counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import scopes
from broker.config import origin
from broker.connections.assets import Assets, reported
from broker.errors import ConsentAgain, InsufficientScope, ProviderUnavailable, WrongAccount
from broker.models import Connection, ConnectSession
from broker.providers.base import Account, Provider
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
    assets: Mapping[str, Assets] = field(default_factory=dict)
    """connector → what the provider reports to choose from."""


def exchange(broker: Broker, claim: Claimed) -> TokenAnswer:
    """Spend the code. Raises `ProviderUnavailable`, `RateLimited`; whatever it says, the session is over."""
    provider = broker.provider(claim.row.provider)
    app, endpoint = broker.app(provider), broker.endpoints(provider).token
    try:
        return broker.upstream.exchange(
            endpoint=endpoint,
            pins=frozenset({origin(endpoint)}),
            client_id=app.client_id,
            client_secret=app.client_secret,
            code=claim.code,
            code_verifier=claim.code_verifier,
            redirect_uri=broker.callback_url(app),
            auth_method=provider.auth_method,
        )
    except TokenRefused as refusal:
        detail = f"The provider refused the authorization code ({refusal.error}). Start again."
        raise ProviderUnavailable(detail, retryable=False) from None


def checked(broker: Broker, claim: Claimed, answer: TokenAnswer) -> Exchanged:
    """Whose it is, by the verified id_token, and what was granted, by the answer. Raises `ProviderUnavailable`,
    `Unavailable`."""
    provider = broker.provider(claim.row.provider)
    app = broker.app(provider)
    claims = broker.identity.verify(
        answer.id_token,
        endpoints=broker.endpoints(provider),
        client_id=app.client_id,
        nonce=claim.nonce.reveal(),
    )
    account = provider.account(claims)
    with broker.database.write() as session:
        index = broker.vault.blind_index(session, provider=app.id, client_id=app.client_id, value=account.id)
    requested = frozenset(claim.row.requested_scopes)
    return Exchanged(answer, account, index, provider.granted_scopes(answer.scope, requested))


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
    provider, token, granted = broker.provider(row.provider), exchanged.answer.access_token, _counted(row, exchanged)
    offered = {
        name: reported(broker, provider, broker.connector(name), token, granted, last_call) for name in row.ticked
    }
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
