"""Third-party integration broker: links accounts, and passes data on only within what the user granted."""

__version__ = "0.1.0"
