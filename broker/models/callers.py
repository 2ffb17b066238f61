"""Callers (broker.clients), and provider apps of their own."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class Client(Base):
    """An OAuth client of the broker: the sales app, a sync job, a privacy desk."""

    __tablename__ = "clients"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    name: Mapped[str] = mapped_column(SHORT)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    tenants: Mapped[list[str]] = mapped_column(JSON)
    """Tenants it may act for; `*` alone is all of them."""
    connectors: Mapped[list[str]] = mapped_column(JSON)
    """Connectors whose data it may read; `*` alone is all of them."""
    return_urls: Mapped[list[str]] = mapped_column(JSON)
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Public keys of a client that signs instead of having a secret (RFC 7523)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ClientSecret(Base):
    """Several may be valid at once, so that a secret can be changed without an outage."""

    __tablename__ = "client_secrets"
    secret_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AccessToken(Base):
    """A broker access token that a caller holds; never a provider's."""

    __tablename__ = "access_tokens"
    token_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"), index=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ClientAssertion(Base):
    """A signed client assertion that was used: once only (RFC 7523 §3, `jti`)."""

    __tablename__ = "client_assertions"
    client_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class IdempotentAnswer(Base):
    """One request with an Idempotency-Key: claimed, then answered (`broker.idempotency`)."""

    __tablename__ = "idempotent_answers"
    client_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    key_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    id: Mapped[str] = mapped_column(SHORT, unique=True)
    fingerprint: Mapped[bytes] = mapped_column(Blob)
    """SHA-256 of method, address and body."""
    claimed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answer: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed status, body and content type; NULL while it is being done."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class OwnProviderApp(Base):
    """A tenant's own registration at a provider. The app that all tenants share stands in the settings."""

    __tablename__ = "provider_apps"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    provider: Mapped[str] = mapped_column(SHORT)
    tenant: Mapped[str] = mapped_column(SHORT)
    live: Mapped[bool | None] = mapped_column()
    """True until removed, then NULL: one live app per tenant and provider."""
    client_id: Mapped[str] = mapped_column(String(512))
    client_secret: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed under a key of its own; NULL once removed."""
    secret_version: Mapped[int] = mapped_column(Integer, default=0)
    options: Mapped[dict[str, str]] = mapped_column(JSON)
    """The provider's own options where they differ from the settings'."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("tenant", "provider", "live", name="uq_provider_apps_live"),
        UniqueConstraint("provider", "client_id", "live", name="uq_provider_apps_client"),
    )
