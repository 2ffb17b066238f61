"""The user's rights over what is held: access, erasure, retention, and who is concerned by an incident."""

from broker.privacy.held import export

__all__ = ["export"]
