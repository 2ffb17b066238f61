"""Signing keys (broker.signing)."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import Blob


class SigningKey(Base):
    """With the highest generation the broker signs; by the public halves of all the others can be verified for good."""

    __tablename__ = "signing_keys"
    generation: Mapped[int] = mapped_column(Integer, primary_key=True)
    kid: Mapped[str] = mapped_column(String(64), unique=True)
    """RFC 7638 thumbprint of the public key."""
    public: Mapped[dict[str, Any]] = mapped_column(JSON)
    """JWK."""
    private: Mapped[bytes | None] = mapped_column(Blob)
    """Sealed JWK under a key of its own; NULL once a newer one has taken its place."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
