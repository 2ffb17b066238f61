"""A fake Instagram (the Instagram API with Instagram Login); one file a part, put together in app.py."""

from broker.sandbox.instagram.app import ORIGINS, create_instagram

__all__ = ["ORIGINS", "create_instagram"]
