"""A fake Google; one file a part, put together in app.py."""

from broker.sandbox.google.app import ORIGINS, create_google

__all__ = ["ORIGINS", "create_google"]
