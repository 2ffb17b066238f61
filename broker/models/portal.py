"""The subject's portal (broker.portal)."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class PortalSession(Base):
    """One subject's look at what is connected: a link, then the browser that opened it."""

    __tablename__ = "portal_sessions"
    id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.id"))
    """Who vouches for the subject: with the client's end the session ends."""
    tenant: Mapped[str] = mapped_column(SHORT)
    subject: Mapped[str] = mapped_column(SHORT)
    return_url: Mapped[str] = mapped_column(String(2048))
    locale: Mapped[str] = mapped_column(String(8))
    link_hash: Mapped[bytes] = mapped_column(Blob, unique=True)
    browser_hash: Mapped[bytes | None] = mapped_column(Blob)
    """NULL until a browser opened it by a POST; from then on no other one can."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """Of the link; once opened, of the session, and moved on while it is used."""
    __table_args__ = (Index("ix_portal_sessions_subject", "tenant", "subject"),)
