"""Every table, by the words of the design. What a column's name does not say stands beside it.

Sealed columns hold the vault's blobs (`broker.vault`); a `*_hash` column holds the SHA-256 of a random
256-bit value whose clear form the broker does not keep.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime

Blob = LargeBinary
SHORT = String(128)


# --- keys (broker.vault) -------------------------------------------------------------------------------------


class KeyCheck(Base):
    """A key encryption key's check value: a wrong key under a known id is found at start."""

    __tablename__ = "key_checks"
    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    check_value: Mapped[bytes] = mapped_column(Blob)


class TenantKey(Base):
    """A tenant's key, wrapped under a key encryption key. The highest generation seals; older ones open.

    Tenant `*` is the broker itself: its key is the root of the blind indexes.
    """

    __tablename__ = "tenant_keys"
    tenant: Mapped[str] = mapped_column(SHORT, primary_key=True)
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    tk_id: Mapped[bytes] = mapped_column(Blob)
    kid: Mapped[str] = mapped_column(String(64), index=True)
    wrapped: Mapped[bytes] = mapped_column(Blob)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ConnectionKey(Base):
    """A connection's own key, wrapped under its tenant's. Deleting the row shreds all that it sealed.

    `connection` is a connection's id, or `session:<id>`, `orphan:<id>` for what is sealed before one exists.
    """

    __tablename__ = "connection_keys"
    dek_id: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT)
    connection: Mapped[str] = mapped_column(SHORT)
    tk_id: Mapped[bytes] = mapped_column(Blob)
    wrapped: Mapped[bytes] = mapped_column(Blob)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    __table_args__ = (UniqueConstraint("tenant", "connection"),)


class OwedShred(Base):
    """A key whose destruction was decided, and which stands in a key store of its own until that is done (ADR 0015).

    In the data's database, beside what decided it. `connection` is empty where a whole tenant is meant.
    """

    __tablename__ = "owed_shreds"
    tenant: Mapped[str] = mapped_column(SHORT, primary_key=True)
    connection: Mapped[str] = mapped_column(SHORT, primary_key=True)
    owed_at: Mapped[datetime] = mapped_column(UtcDateTime)


# --- callers (broker.clients) --------------------------------------------------------------------------------


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


# --- connecting ----------------------------------------------------------------------------------------------


class ConnectSession(Base):
    """One attempt to connect, from the sales app's request to its confirmation.

    status: open → pending → confirmed, or denied | failed | expired.
    """

    __tablename__ = "connect_sessions"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    tenant: Mapped[str] = mapped_column(SHORT)
    subject: Mapped[str] = mapped_column(SHORT)
    provider: Mapped[str] = mapped_column(SHORT)
    app_id: Mapped[str] = mapped_column(SHORT)
    connectors: Mapped[list[str]] = mapped_column(JSON)
    """Asked for by the sales app."""
    ticked: Mapped[list[str]] = mapped_column(JSON)
    """Left ticked by the user; empty until the form was sent."""
    return_url: Mapped[str] = mapped_column(String(2048))
    locale: Mapped[str] = mapped_column(String(8))
    purpose: Mapped[str | None] = mapped_column(String(500))
    privacy_url: Mapped[str | None] = mapped_column(String(2048))
    tenant_label: Mapped[str | None] = mapped_column(String(200))
    people: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed {"subject_label", "login_hint"}: they name a person."""
    renews: Mapped[str | None] = mapped_column(SHORT)
    """The connection that this session renews or extends."""
    account_index: Mapped[bytes | None] = mapped_column(Blob)
    """The account that this session is known to be for: of `renews`, or of a first trip that must be repeated."""
    status: Mapped[str] = mapped_column(String(16))
    ticket_hash: Mapped[bytes] = mapped_column(Blob, unique=True)
    browser_hash: Mapped[bytes | None] = mapped_column(Blob)
    state_hash: Mapped[bytes | None] = mapped_column(Blob, unique=True)
    state_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requested_scopes: Mapped[list[str]] = mapped_column(JSON)
    flow: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed {"code_verifier", "nonce"} and, once the callback came, {"code"}."""
    flow_version: Mapped[int] = mapped_column(Integer, default=0)
    force_consent: Mapped[bool] = mapped_column(default=False)
    consent_text_hash: Mapped[str | None] = mapped_column(String(64))
    began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the browser was last sent to the provider."""
    confirm_code_hash: Mapped[bytes | None] = mapped_column(Blob)
    confirm_tries: Mapped[int] = mapped_column(Integer, default=0)
    exchange_began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    connection_id: Mapped[str | None] = mapped_column(SHORT)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """How a confirm ended, so that a repeated one ends alike: {"code", "status", "detail", "members"}."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    __table_args__ = (
        Index("ix_connect_sessions_account", "app_id", "account_index"),
        Index("ix_connect_sessions_subject", "tenant", "subject", "app_id", "created_at"),
    )


# --- connections ---------------------------------------------------------------------------------------------


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


# --- ending --------------------------------------------------------------------------------------------------


class Revocation(Base):
    """The receipt of one revocation call."""

    __tablename__ = "revocations"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT, index=True)
    subject: Mapped[str | None] = mapped_column(SHORT)
    client_id: Mapped[str | None] = mapped_column(SHORT)
    reason: Mapped[str | None] = mapped_column(String(500))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    effective_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RevocationItem(Base):
    """What one revocation ended, and how that went at the provider."""

    __tablename__ = "revocation_items"
    revocation_id: Mapped[str] = mapped_column(ForeignKey("revocations.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    connection_id: Mapped[str] = mapped_column(SHORT, index=True)
    ended: Mapped[str] = mapped_column(String(16))
    """grant | connection"""
    connector: Mapped[str | None] = mapped_column(SHORT)
    provider: Mapped[str] = mapped_column(SHORT)
    provider_outcome: Mapped[str] = mapped_column(String(16))
    """confirmed | already_gone | not_supported | shared | pending | gave_up"""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_error: Mapped[str | None] = mapped_column(String(200))
    shredded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DeletionRequest(Base):
    """That a user asked at the provider for deletion. It names nobody: by the code its status can be asked."""

    __tablename__ = "deletion_requests"
    code_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    app_id: Mapped[str] = mapped_column(SHORT)
    account_index: Mapped[bytes] = mapped_column(Blob)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Orphan(Base):
    """A provider token that no connection holds, sealed until the provider has been told to end it."""

    __tablename__ = "orphans"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT)
    app_id: Mapped[str] = mapped_column(SHORT)
    account_index: Mapped[bytes | None] = mapped_column(Blob)
    """NULL where the exchange ended before the account was known."""
    token: Mapped[bytes] = mapped_column(Blob)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    __table_args__ = (Index("ix_orphans_account", "app_id", "account_index"),)


class Duty(Base):
    """Something the broker owes and does even if it crashes. One open duty per kind and key."""

    __tablename__ = "duties"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(256))
    open: Mapped[bool | None] = mapped_column()
    """True until done, then NULL."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    fence: Mapped[int] = mapped_column(Integer, default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (
        UniqueConstraint("kind", "key", "open", name="uq_duties_open"),
        Index("ix_duties_due", "due_at", postgresql_where=text("open"), sqlite_where=text("open")),
    )


# --- audit (broker.audit, broker.accesses) -------------------------------------------------------------------


class AuditHead(Base):
    """The newest entry of one tenant's chain; its row is the lock under which the next is appended."""

    __tablename__ = "audit_heads"
    tenant: Mapped[str] = mapped_column(SHORT, primary_key=True)
    seq: Mapped[int] = mapped_column(Integer)
    hash: Mapped[bytes] = mapped_column(Blob)


class AuditEntry(Base):
    """One state change. Tenant `*` is the broker itself."""

    __tablename__ = "audit_entries"
    tenant: Mapped[str] = mapped_column(SHORT, primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(SHORT, unique=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(SHORT)
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str | None] = mapped_column(SHORT)
    """NULL once erased; the chain covers `subject_hash` alone."""
    subject_hash: Mapped[str | None] = mapped_column(String(64))
    connection: Mapped[str | None] = mapped_column(SHORT)
    detail: Mapped[str] = mapped_column(Text)
    """Canonical JSON, as it was hashed."""
    previous: Mapped[bytes] = mapped_column(Blob)
    hash: Mapped[bytes] = mapped_column(Blob)
    __table_args__ = (
        Index("ix_audit_entries_tenant_id", "tenant", "id"),
        Index("ix_audit_entries_connection", "connection", "id"),
        Index("ix_audit_entries_subject", "tenant", "subject", "id"),
    )


class AccessCount(Base):
    """How often one client read one resource of one connection through one connector, hour by hour."""

    __tablename__ = "access_counts"
    connection_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    connector: Mapped[str] = mapped_column(SHORT, primary_key=True)
    resource: Mapped[str] = mapped_column(SHORT, primary_key=True)
    client_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    pages: Mapped[int] = mapped_column(BigInteger)
    records: Mapped[int] = mapped_column(BigInteger)
