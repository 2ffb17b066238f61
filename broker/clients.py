"""Callers: OAuth clients of the broker, their secrets and their access tokens. All are stored hashed."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from broker import audit, strict_json
from broker.db import Database, insert_if_missing
from broker.errors import Forbidden, NotFound
from broker.models import AccessToken, Client, ClientAssertion, ClientSecret
from broker.recent import Recent
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
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
"""Members of a JWK that only a private or symmetric key has (RFC 7518 §6)."""


@dataclass(frozen=True)
class Caller:
    """A client together with the scopes of the token it came with."""

    client_id: str
    scopes: frozenset[str]
    tenants: frozenset[str]
    connectors: frozenset[str]
    return_urls: frozenset[str]
    token_hash: bytes | None = None
    """Of the token it came with; None for a client that came with its secret."""
    read_at: float = math.inf
    """When its token was read (monotonic seconds); nothing to read for a client without one."""

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
    jwks: Mapping[str, Any] | None = None,
) -> tuple[str, Secret | None]:
    """Store a client; its secret is given once and kept hashed; with `jwks` it has none. The values were checked."""
    client_id, secret = fresh_id("cli"), None if jwks else fresh_token()
    client = Client(
        id=client_id,
        name=name,
        scopes=sorted(scopes),
        tenants=sorted(tenants),
        connectors=sorted(connectors),
        return_urls=sorted(return_urls),
        jwks=dict(jwks) if jwks else None,
        created_at=now,
    )
    with database.write() as session:
        session.add(client)
        session.flush()
        if secret:
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


def public_keys(text: bytes) -> dict[str, Any]:
    """A JWK Set of public signing keys, each with a `kid`. Raises `ValueError`, naming what is wrong."""
    keys = _members(text)
    if not keys:
        raise ValueError("there is no key in it")
    for number, key in enumerate(keys, 1):
        if not isinstance(key, dict) or not isinstance(key.get("kid"), str):
            raise ValueError(f"key {number} has no kid")
        if key.get("kty") not in ("RSA", "EC", "OKP") or key.keys() & PRIVATE:
            raise ValueError(f"key {number} is not a public key of type RSA, EC or OKP")
    try:
        KeySet.import_key_set({"keys": keys})
    except (JoseError, ValueError, TypeError, KeyError):
        raise ValueError("a key in it cannot be read") from None
    if len({key["kid"] for key in keys}) < len(keys):
        raise ValueError("two keys have the same kid")
    return {"keys": keys}


def _members(text: bytes) -> list[Any]:
    try:
        value = strict_json.parse(text)
    except ValueError:
        raise ValueError("it is not JSON") from None
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it is not a JWK Set: an object with keys")
    return keys


def add_secret(database: Database, now: datetime, client_id: str, *, overlap: timedelta) -> Secret:
    """A further secret; the earlier ones end after `overlap`. Raises `NotFound`."""
    secret = fresh_token()
    with database.write() as session:
        if session.scalar(select(Client).where(Client.id == client_id, Client.disabled_at.is_(None))) is None:
            raise NotFound("There is no such client, or it is disabled.")
        later = or_(ClientSecret.expires_at.is_(None), ClientSecret.expires_at > now + overlap)
        earlier = update(ClientSecret).where(ClientSecret.client_id == client_id, later)
        session.execute(earlier.values(expires_at=now + overlap))
        session.add(ClientSecret(secret_hash=digest(secret.reveal()), client_id=client_id, created_at=now))
        audit.note(session, "client.secret_rotated", actor="operator", client=client_id)
    return secret


def disable(database: Database, now: datetime, client_id: str) -> None:
    """Refuse a client from now on, with all its tokens. Raises `NotFound`."""
    with database.write() as session:
        row = session.scalar(select(Client).where(Client.id == client_id).with_for_update())
        if row is None:
            raise NotFound("There is no such client.")
        if row.disabled_at is None:
            row.disabled_at = now
            audit.note(session, "client.disabled", actor="operator", client=client_id)


def described(database: Database, now: datetime) -> list[dict[str, Any]]:
    """Every client, without its secrets."""
    valid = or_(ClientSecret.expires_at.is_(None), ClientSecret.expires_at > now)
    counted = select(ClientSecret.client_id, func.count()).where(valid).group_by(ClientSecret.client_id)
    with database.read() as session:
        secrets = {client_id: count for client_id, count in session.execute(counted)}
        rows = session.scalars(select(Client).order_by(Client.created_at, Client.id)).all()
    return [
        {
            "client_id": row.id,
            "name": row.name,
            "scopes": row.scopes,
            "tenants": row.tenants,
            "connectors": row.connectors,
            "return_urls": row.return_urls,
            "valid_secrets": secrets.get(row.id, 0),
            "keys": len(row.jwks["keys"]) if row.jwks else 0,
            "created_at": row.created_at.isoformat(),
            "disabled_at": row.disabled_at.isoformat() if row.disabled_at else None,
        }
        for row in rows
    ]


def use_assertion(database: Database, client_id: str, jti: str, expires_at: datetime) -> bool:
    """Whether this is the first use of a client's assertion; one row decides among many at once."""
    with database.write() as session:
        key = {"client_id": client_id, "jti_hash": digest(jti)}
        return insert_if_missing(session, ClientAssertion, key, {"expires_at": expires_at})


def introspected(database: Database, now: datetime, token: str) -> AccessToken | None:
    """An access token that is valid now, of a client that is not disabled."""
    query = (
        select(AccessToken)
        .join(Client, Client.id == AccessToken.client_id)
        .where(AccessToken.token_hash == digest(token), AccessToken.expires_at > now)
        .where(AccessToken.revoked_at.is_(None), Client.disabled_at.is_(None))
    )
    with database.read() as session:
        return session.scalar(query)


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


def caller(database: Database, recent: Recent, now: datetime, token: str, *, age: float) -> Caller | None:
    """Who holds this access token; None where it is unknown, expired, revoked or its client disabled. It may have been
    read up to `age` seconds ago.

    A token's scopes never exceed what the client still has.
    """
    token_hash = digest(token)
    read_at, held = recent.get((token_hash,), lambda: _held(database, token_hash), age=age)
    return replace(held[0], read_at=read_at) if held and held[1] > now else None


def still_stands(session: Session, caller: Caller) -> bool:
    """Whether the token that the caller came with was not revoked since, nor its client disabled. A token that expires
    in the middle of a request does not end it."""
    if caller.token_hash is None:
        return True
    query = select(AccessToken.client_id).join(Client, Client.id == AccessToken.client_id)
    valid = (
        AccessToken.token_hash == caller.token_hash,
        AccessToken.revoked_at.is_(None),
        Client.disabled_at.is_(None),
    )
    return session.scalar(query.where(*valid)) is not None


def _held(database: Database, token_hash: bytes) -> tuple[Caller, datetime] | None:
    """Who holds an access token, and until when."""
    held = select(
        AccessToken.scopes,
        AccessToken.expires_at,
        Client.id,
        Client.scopes,
        Client.tenants,
        Client.connectors,
        Client.return_urls,
    ).join(Client, Client.id == AccessToken.client_id)
    valid = (
        AccessToken.token_hash == token_hash,
        AccessToken.revoked_at.is_(None),
        Client.disabled_at.is_(None),
    )
    with database.read() as session:
        row = session.execute(held.where(*valid)).first()
    if row is None:
        return None
    token_scopes, expires_at, client_id, client_scopes, tenants, connectors, return_urls = row
    found = Caller(
        client_id=client_id,
        scopes=frozenset(token_scopes) & frozenset(client_scopes),
        tenants=frozenset(tenants),
        connectors=frozenset(connectors),
        return_urls=frozenset(return_urls),
        token_hash=token_hash,
    )
    return found, expires_at


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
