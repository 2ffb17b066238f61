"""Callers: OAuth clients of the broker, their secrets and their access tokens. All are stored hashed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from broker import audit
from broker.db import Database
from broker.errors import Forbidden, NotFound
from broker.models import AccessToken, Client, ClientSecret
from broker.secret import Secret, digest, fresh_id, fresh_token

SCOPES = (
    "connect",
    "connections:read",
    "records:read",
    "relay",
    "revoke",
    "privacy",
    "audit:read",
    "events",
    "admin",
)
TOKEN_LIFETIME = timedelta(seconds=900)
ALL = "*"


@dataclass(frozen=True)
class Caller:
    """A client together with the scopes of the token it came with."""

    client_id: str
    scopes: frozenset[str]
    tenants: frozenset[str]
    connectors: frozenset[str]
    return_urls: frozenset[str]

    def require(self, scope: str) -> None:
        """Raises `Forbidden`, naming the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"The token lacks the scope {scope}.")

    def acts_for(self, tenant: str) -> bool:
        return ALL in self.tenants or tenant in self.tenants

    def require_tenant(self, tenant: str) -> None:
        """Raises `NotFound`: a foreign tenant answers like one that does not exist."""
        if not self.acts_for(tenant):
            raise NotFound

    def require_connector(self, connector: str) -> None:
        """Raises `Forbidden`."""
        if ALL not in self.connectors and connector not in self.connectors:
            raise Forbidden("This client may not read this connector.")


def register(
    database: Database,
    now: datetime,
    *,
    name: str,
    scopes: Collection[str],
    tenants: Collection[str],
    connectors: Collection[str],
    return_urls: Collection[str],
) -> tuple[str, Secret]:
    """Store a client; its secret is given once and kept hashed. The caller has checked the values."""
    client_id, secret = fresh_id("cli"), fresh_token()
    client = Client(
        id=client_id,
        name=name,
        scopes=sorted(scopes),
        tenants=sorted(tenants),
        connectors=sorted(connectors),
        return_urls=sorted(return_urls),
        created_at=now,
    )
    with database.write() as session:
        session.add(client)
        session.flush()
        session.add(ClientSecret(secret_hash=digest(secret.reveal()), client_id=client_id, created_at=now))
        audit.note(
            session,
            "client.registered",
            actor="operator",
            client=client_id,
            scopes=client.scopes,
            tenants=client.tenants,
            connectors=client.connectors,
        )
    return client_id, secret


def found(database: Database, client_id: str) -> Client | None:
    """The client that may authenticate, or None."""
    with database.read() as session:
        return session.scalar(select(Client).where(Client.id == client_id, Client.disabled_at.is_(None)))


def secret_is_valid(database: Database, now: datetime, client_id: str, secret: str) -> bool:
    """Any of the client's unexpired secrets; compared by indexed equality of the hash."""
    valid = or_(ClientSecret.expires_at.is_(None), ClientSecret.expires_at > now)
    query = select(ClientSecret.client_id).where(
        ClientSecret.secret_hash == digest(secret), ClientSecret.client_id == client_id, valid
    )
    with database.read() as session:
        return session.execute(query).first() is not None


def issue_token(database: Database, now: datetime, client_id: str, scopes: Collection[str], token: str) -> None:
    row = AccessToken(
        token_hash=digest(token),
        client_id=client_id,
        scopes=sorted(scopes),
        issued_at=now,
        expires_at=now + TOKEN_LIFETIME,
    )
    with database.write() as session:
        session.add(row)


def caller(database: Database, now: datetime, token: str) -> Caller | None:
    """Who holds this access token; None where it is unknown, expired, revoked or its client disabled.

    A token's scopes never exceed what the client still has.
    """
    query = (
        select(
            AccessToken.scopes,
            Client.id,
            Client.scopes,
            Client.tenants,
            Client.connectors,
            Client.return_urls,
        )
        .join(Client, Client.id == AccessToken.client_id)
        .where(
            AccessToken.token_hash == digest(token),
            AccessToken.expires_at > now,
            AccessToken.revoked_at.is_(None),
            Client.disabled_at.is_(None),
        )
    )
    with database.read() as session:
        row = session.execute(query).first()
    if row is None:
        return None
    token_scopes, client_id, client_scopes, tenants, connectors, return_urls = row
    return Caller(
        client_id=client_id,
        scopes=frozenset(token_scopes) & frozenset(client_scopes),
        tenants=frozenset(tenants),
        connectors=frozenset(connectors),
        return_urls=frozenset(return_urls),
    )


def revoke_token(database: Database, now: datetime, client_id: str, token: str) -> bool:
    """End one of the client's own access tokens; False where there is none."""
    statement = (
        update(AccessToken)
        .where(AccessToken.token_hash == digest(token), AccessToken.client_id == client_id)
        .where(AccessToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    with database.write() as session:
        return bool(session.connection().execute(statement).rowcount)
