"""Column types that several tables use."""

from sqlalchemy import LargeBinary, String

Blob = LargeBinary
SHORT = String(128)
