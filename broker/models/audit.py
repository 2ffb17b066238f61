"""Audit (broker.audit) and access counts (broker.accesses)."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


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
