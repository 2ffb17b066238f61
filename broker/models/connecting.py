"""Connecting."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


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
