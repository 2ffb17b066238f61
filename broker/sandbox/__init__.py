"""Fake providers for the demo, for our tests and for a caller's own CI, faithful to docs/facts.

A process of its own. The broker reaches it through `BROKER_ORIGINS`, by the same code path as in production. Nothing
here may import the rest of `broker`: what a fake knows of a provider must not come from what the broker believes.
"""
