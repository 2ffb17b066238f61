"""Events to the sales app: where they go, and what is still to be delivered (`broker.events`)."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class EventEndpoint(Base):
    """An address of a client to which events of its tenants are delivered."""

    __tablename__ = "event_endpoints"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"), index=True)
    url: Mapped[str] = mapped_column(String(2048))
    tenants: Mapped[list[str]] = mapped_column(JSON)
    """`*` alone is all of the client's."""
    types: Mapped[list[str]] = mapped_column(JSON)
    """`*` alone is all, also those to come."""
    secrets: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed {"newest", "earlier": [{"secret", "until"}]}."""
    secrets_version: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_by: Mapped[str | None] = mapped_column(String(16))
    """caller | operator | receiver (it answered 410)"""
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """Rounds in a row in which nothing arrived."""
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class EventDelivery(Base):
    """One event for one endpoint. The row is made in the transaction of what it tells."""

    __tablename__ = "event_deliveries"
    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    """The order of a tenant's changes: its audit chain is locked when this is given out."""
    endpoint_id: Mapped[str] = mapped_column(SHORT)
    """No foreign key: that an endpoint is just being removed must not undo what is told."""
    event_id: Mapped[str] = mapped_column(SHORT)
    """`webhook-id`: the same at each endpoint and at each try."""
    lane: Mapped[str] = mapped_column(SHORT)
    """Deliveries of one endpoint and lane go out one after the other: a connection's id, else the event's own."""
    type: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(SHORT)
    subject: Mapped[str | None] = mapped_column(SHORT)
    """NULL once the subject was erased."""
    connection: Mapped[str | None] = mapped_column(SHORT)
    body: Mapped[str] = mapped_column(Text)
    """The very text that is signed and sent."""
    state: Mapped[str] = mapped_column(String(16))
    """pending | delivered | failed"""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """From when on it has its patience: its making, or the last replay."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    __table_args__ = (
        Index("ix_event_deliveries_event", "event_id", "endpoint_id", unique=True),
        Index("ix_event_deliveries_listing", "endpoint_id", "seq"),
        Index(
            "ix_event_deliveries_pending",
            "endpoint_id",
            "lane",
            "seq",
            postgresql_where=text("state = 'pending'"),
            sqlite_where=text("state = 'pending'"),
        ),
        Index("ix_event_deliveries_settled", "settled_at"),
        Index("ix_event_deliveries_subject", "tenant", "subject"),
    )
