"""Ending: receipts, requests for deletion, orphaned tokens, duties."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class Revocation(Base):
    """The receipt of one revocation: of one connection, or of all that match (`broker.connections.mass`)."""

    __tablename__ = "revocations"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT, index=True)
    subject: Mapped[str | None] = mapped_column(SHORT)
    provider: Mapped[str | None] = mapped_column(SHORT)
    connector: Mapped[str | None] = mapped_column(SHORT)
    criteria: Mapped[bytes | None] = mapped_column(Blob)
    """Keyed hash of what had to match; NULL where one connection was named."""
    open: Mapped[bool | None] = mapped_column()
    """True until all that matched is ended, then NULL: one open receipt for the same criteria."""
    asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was last asked for, while it was open."""
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When an item was last made, tried or settled."""
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When nothing was pending any more: then it is announced, once."""
    client_id: Mapped[str | None] = mapped_column(SHORT)
    reason: Mapped[str | None] = mapped_column(String(500))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    effective_at: Mapped[datetime] = mapped_column(UtcDateTime)
    __table_args__ = (Index("uq_revocations_open", "criteria", "open", unique=True),)


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
    __table_args__ = (
        Index(
            "ix_revocation_items_pending",
            "revocation_id",
            postgresql_where=text("provider_outcome = 'pending'"),
            sqlite_where=text("provider_outcome = 'pending'"),
        ),
    )


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
