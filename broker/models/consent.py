"""Consent (broker.ledger) and erasure (broker.privacy.erase)."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT


class ConsentWording(Base):
    """What a consent page said, once for all who saw the same. It names no user: their name's place is left open."""

    __tablename__ = "consent_texts"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of `text`, as it stands in grants and consents."""
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
    """Canonical JSON (`broker.consent.ConsentText`)."""
    first_shown_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Consent(Base):
    """The receipt of one grant, its narrowing or its withdrawal. Written once, never changed but for `subject`."""

    __tablename__ = "consents"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT)
    subject: Mapped[str | None] = mapped_column(SHORT)
    """NULL once erased; the record names a keyed hash alone."""
    subject_hash: Mapped[str] = mapped_column(String(64))
    connection: Mapped[str] = mapped_column(SHORT)
    grant_id: Mapped[str] = mapped_column(SHORT, index=True)
    connector: Mapped[str] = mapped_column(SHORT)
    event: Mapped[str] = mapped_column(String(16))
    """given | narrowed | withdrawn"""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    record: Mapped[str] = mapped_column(Text)
    """Canonical JSON in the terms of ISO/IEC TS 27560."""
    hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of `record`."""
    __table_args__ = (
        Index("ix_consents_subject", "tenant", "subject", "id"),
        Index("ix_consents_connection", "connection"),
    )


class Erasure(Base):
    """That everything about one subject must go, and what has gone. It stays as the proof."""

    __tablename__ = "erasures"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    tenant: Mapped[str] = mapped_column(SHORT)
    subject: Mapped[str | None] = mapped_column(SHORT)
    """NULL once all is gone."""
    subject_hash: Mapped[str] = mapped_column(String(64))
    open: Mapped[bool | None] = mapped_column()
    """True until all is gone, then NULL: one at a time for each subject."""
    client_id: Mapped[str] = mapped_column(SHORT)
    """Who asked for it: a client, `subject` or `operator`."""
    revocation_id: Mapped[str] = mapped_column(SHORT)
    """The receipt of what it ended."""
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    erased: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What was erased → how many."""
    __table_args__ = (
        UniqueConstraint("tenant", "subject_hash", "open", name="uq_erasures_open"),
        Index("ix_erasures_subject", "tenant", "subject_hash"),
    )
