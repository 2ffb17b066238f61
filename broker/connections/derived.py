"""Derived: the tokens of single assets (a Page's own), made from a connection's token, sealed beside it, handed to
nobody. They go with the token that they were made from."""

from sqlalchemy import update

from broker.connections.refresh import Token
from broker.connections.tokens import open_asset_tokens, store_asset_tokens
from broker.models import Connection
from broker.operations import Operation
from broker.providers.base import Provider
from broker.providers.line import Line
from broker.runtime import Broker
from broker.secret import Secret


def bearer(
    broker: Broker, line: Line, provider: Provider, operation: Operation, token: Token, asset: str | None
) -> Secret:
    """The token with which an operation is called. Raises `TokenRefused`, `ProviderUnavailable`, `RateLimited`."""
    if not operation.is_for_asset or asset is None:
        return token.value
    connection = token.standing.connection
    with broker.database.read() as session:
        kept = open_asset_tokens(broker, session, connection)
    if asset not in kept:
        kept[asset] = provider.asset_token(line, token.value, asset)
        _keep(broker, token, asset, kept[asset])
    return kept[asset]


def _keep(broker: Broker, token: Token, asset: str, value: Secret) -> None:
    """Unless the connection's token has changed or ended meanwhile: then it is of no further use."""
    with broker.database.write() as session:
        row = session.get_one(Connection, token.standing.connection.id, with_for_update=True)
        if row.live and row.token_version == token.version:
            store_asset_tokens(broker, session, row, open_asset_tokens(broker, session, row) | {asset: value})


def forget(broker: Broker, token: Token) -> None:
    """One of them was refused: they are made anew."""
    if token.standing.connection.asset_tokens is None:
        return
    with broker.database.write() as session:
        mine = Connection.id == token.standing.connection.id, Connection.token_version == token.version
        session.execute(update(Connection).where(*mine).values(asset_tokens=None))
