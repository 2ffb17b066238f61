"""A fake Facebook; one file a part, put together in app.py."""

from broker.sandbox.facebook.app import ORIGINS, create_facebook
from broker.sandbox.facebook.seed import user_id

__all__ = ["ORIGINS", "create_facebook", "user_id"]
