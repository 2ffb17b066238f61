"""Fingerprints: by what a provider names a refresh token in what it reports, kept so that the connection is found
without a token being opened.

A refresh token is random enough that its hash reveals nothing of it, but whoever had both a stolen database and tokens
from elsewhere could tell which belong together; and the first characters are not random enough. So both are kept under
the vault's key, as account ids are (docs/facts/google.md §2.3, docs/facts/security.md §4.2.4).
"""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from broker.models import Connection, TokenFingerprint
from broker.providers.google_events import Kind, NamedToken, fingerprints
from broker.runtime import Broker
from broker.secret import Secret


def keep_token(broker: Broker, session: Session, row: Connection, refresh_token: Secret) -> None:
    """This is the refresh token that the connection holds now. Nothing where its provider reports no tokens."""
    if "events" not in broker.providers[row.provider].hooks:
        return
    marks = {
        kind: _index(broker, session, row.app_id, kind, value) for kind, value in fingerprints(refresh_token).items()
    }
    kept = session.get(TokenFingerprint, row.id)
    if kept is None:
        kept = TokenFingerprint(connection_id=row.id)
        session.add(kept)
    kept.app_id, kept.whole, kept.beginning = row.app_id, marks["whole"], marks["beginning"]


def forget_token(session: Session, connection_id: str) -> None:
    """The connection holds that token no more."""
    session.execute(delete(TokenFingerprint).where(TokenFingerprint.connection_id == connection_id))


def connections_of(broker: Broker, session: Session, app_id: str, token: NamedToken) -> Sequence[Connection]:
    """The live connections of an app that hold the named token, locked."""
    mark = _index(broker, session, app_id, token.kind, token.value)
    column = TokenFingerprint.whole if token.kind == "whole" else TokenFingerprint.beginning
    holders = select(TokenFingerprint.connection_id).where(TokenFingerprint.app_id == app_id, column == mark)
    query = select(Connection).where(Connection.id.in_(holders), Connection.live.is_(True)).order_by(Connection.id)
    return session.scalars(query.with_for_update()).all()


def _index(broker: Broker, session: Session, app_id: str, kind: Kind, value: str) -> bytes:
    return broker.vault.blind_index(session, provider=f"token/{kind}", client_id=app_id, value=value)
