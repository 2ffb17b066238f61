"""Security events of a provider (broker.connections.from_google), and by what they name tokens."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class SecurityEvent(Base):
    """One security event token that was acted on: once only, by its `jti` (RFC 8417 §2.2)."""

    __tablename__ = "security_events"
    app_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """From then on it is too old to be taken at all."""


class EventStream(Base):
    """What is known of the stream of security events of one provider app."""

    __tablename__ = "event_streams"
    app_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When anything came last."""
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verified_hash: Mapped[bytes | None] = mapped_column(Blob)
    """Of the `state` that the last verification brought back."""


class TokenFingerprint(Base):
    """By what a provider names a connection's refresh token in an event: keyed hashes, of no use without the keys."""

    __tablename__ = "token_fingerprints"
    connection_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    app_id: Mapped[str] = mapped_column(SHORT)
    whole: Mapped[bytes] = mapped_column(Blob)
    """Blind index of the token's double hash."""
    beginning: Mapped[bytes] = mapped_column(Blob)
    """Blind index of its first characters."""
    __table_args__ = (
        Index("ix_token_fingerprints_whole", "app_id", "whole"),
        Index("ix_token_fingerprints_beginning", "app_id", "beginning"),
    )
