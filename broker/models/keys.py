"""Keys (broker.vault)."""

from datetime import datetime

from sqlalchemy import Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


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
