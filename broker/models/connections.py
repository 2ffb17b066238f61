"""Connections, their grants, and the pauses of their provider."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class Authorization(Base):
    """What one account once granted to one provider app: the unit in which a provider revokes.

    Its row is the lock between "a connection becomes active" and "the provider is told to revoke".
    """

    __tablename__ = "authorizations"
    app_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    account_index: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the newest revocation was about to be sent to the provider."""
    telling_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then one may be on its way."""


class Connection(Base):
    """One (tenant, subject, provider app, account) and its sealed token."""

    __tablename__ = "connections"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT)
    subject: Mapped[str] = mapped_column(SHORT)
    provider: Mapped[str] = mapped_column(SHORT)
    app_id: Mapped[str] = mapped_column(SHORT)
    account_index: Mapped[bytes] = mapped_column(Blob)
    """Blind index of the account's id: equality look-ups without the id."""
    scoped_index: Mapped[bytes | None] = mapped_column(Blob)
    """That of the other id by which the provider names the account in what it sends, where it has one."""
    state: Mapped[str] = mapped_column(String(24))
    """active | reconnect_required | suspended | revoking | revoked"""
    live: Mapped[bool | None] = mapped_column()
    """True until revoking, then NULL: one live connection per subject and account."""
    account: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed {"id", "label"}."""
    account_version: Mapped[int] = mapped_column(Integer, default=0)
    requested_scopes: Mapped[list[str]] = mapped_column(JSON)
    confirmed_scopes: Mapped[list[str]] = mapped_column(JSON)
    """Granted when the session was confirmed: the upper bound of all later reports."""
    granted_scopes: Mapped[list[str]] = mapped_column(JSON)
    """As the provider last reported, within `confirmed_scopes`."""
    access_token: Mapped[bytes | None] = mapped_column(Blob)
    refresh_token: Mapped[bytes | None] = mapped_column(Blob)
    asset_tokens: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed {asset: token}: derived from this very access token, for operations that take an asset's own."""
    token_version: Mapped[int] = mapped_column(Integer, default=0)
    obtained_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the provider was asked for the access token."""
    fresh_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """From then on the access token is refreshed before use."""
    access_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fence: Mapped[int] = mapped_column(Integer, default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refresh_inflight: Mapped[bool] = mapped_column(default=False)
    """A holder of the lease has called the provider and not yet stored the answer."""
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The authorization's own end, if known."""
    data_access_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the provider stops giving data though the authorization stands, if it does so."""
    expiring_told: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The end that was announced last."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    activated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Suspended by a caller, who alone resumes it."""
    provider_suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Suspended by the provider: ended by the provider or a new connect."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("tenant", "subject", "app_id", "account_index", "live", name="uq_connections_live"),
        Index("ix_connections_account", "app_id", "account_index", "live"),
        Index("ix_connections_scoped", "app_id", "scoped_index"),
        Index("ix_connections_listing", "tenant", "id"),
        Index("ix_connections_subject", "tenant", "subject", "id"),
    )


class Grant(Base):
    """What the user allowed one connector on one connection, and by which consent text."""

    __tablename__ = "grants"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"))
    connector: Mapped[str] = mapped_column(SHORT)
    live: Mapped[bool | None] = mapped_column()
    """True until withdrawn, then NULL: one live grant per connector."""
    scopes: Mapped[list[str]] = mapped_column(JSON)
    """Granted to this connector at confirm; what a later answer adds is not part of it."""
    fields: Mapped[dict[str, list[str]]] = mapped_column(JSON)
    """resource → fields that the consent page named."""
    assets: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed {"offered", "chosen"} (`broker.connections.assets`); NULL where the resource hangs on none."""
    assets_version: Mapped[int] = mapped_column(Integer, default=0)
    session_id: Mapped[str] = mapped_column(SHORT)
    consent_text_hash: Mapped[str] = mapped_column(String(64))
    locale: Mapped[str] = mapped_column(String(8))
    purpose: Mapped[str | None] = mapped_column(String(500))
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("connection_id", "connector", "live", name="uq_grants_live"),
        Index("ix_grants_connection", "connection_id"),
    )


class ProviderPause(Base):
    """Until when one account, or a whole provider app, is not read: the provider's limits (`broker.pauses`)."""

    __tablename__ = "provider_pauses"
    key: Mapped[str] = mapped_column(String(256), primary_key=True)
    until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ProviderCalls(Base):
    """Calls of one minute, where the operator has set a budget for them (`broker.pauses`)."""

    __tablename__ = "provider_calls"
    key: Mapped[str] = mapped_column(String(256), primary_key=True)
    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    calls: Mapped[int] = mapped_column(Integer)
