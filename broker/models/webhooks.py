"""Webhooks: how what a provider says of an asset finds the grants that it is about, and what was announced."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base, UtcDateTime
from broker.models.columns import SHORT, Blob


class GrantAsset(Base):
    """One asset of a live grant's, on offer or chosen, by a keyed hash of its id: a provider names nothing else."""

    __tablename__ = "grant_assets"
    grant_id: Mapped[str] = mapped_column(ForeignKey("grants.id", ondelete="CASCADE"), primary_key=True)
    asset_index: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    app_id: Mapped[str] = mapped_column(SHORT)
    __table_args__ = (Index("ix_grant_assets_asset", "app_id", "asset_index"),)


class Announcement(Base):
    """That one delivery was announced of one connection: the provider sends it again when it is unsure."""

    __tablename__ = "announcements"
    connection_id: Mapped[str] = mapped_column(SHORT, primary_key=True)
    signature: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    """The delivery's own: a keyed hash of its body."""
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
