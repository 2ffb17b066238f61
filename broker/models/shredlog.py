"""The shred log's side in the database (broker.shredlog)."""

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from broker.db import Base
from broker.models.columns import SHORT


class OwedLine(Base):
    """What this database has ended and the shred log is still to be told: written in the ending's own transaction."""

    __tablename__ = "owed_lines"
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    """The order in which lines are written."""
    id: Mapped[str] = mapped_column(SHORT, unique=True)
    said: Mapped[str] = mapped_column(Text)
    """Canonical JSON of the line, without its place in the chain."""


class LogMark(Base):
    """Up to where this database knows the shred log; in a key store of its own, up to where its keys were destroyed.

    One row. A database in which it lies behind what the log holds was put back from a backup.
    """

    __tablename__ = "log_marks"
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    place: Mapped[int] = mapped_column(BigInteger)
    """Where the line ends, in bytes from the beginning of a file."""
