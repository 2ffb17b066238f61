"""Values that do not print: provider tokens, codes, verifiers, client secrets, keys."""

import hashlib
import hmac
import secrets
from typing import Never


class Secret:
    """A text that must not appear in a log, a traceback, a message or a pickle.

    `reveal()` is the only way to the text; it is called where the value is sealed or put on the wire.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. The caller answers for where it goes."""
        return self._text

    def matches(self, other: str) -> bool:
        """Whether `other` is the same text, in time that does not tell where they differ."""
        return hmac.compare_digest(self._text.encode(), other.encode())

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._text)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is never pickled")


class SecretBytes(bytes):
    """Bytes that do not print, as `Secret`: a key, or what is about to be sealed. What is made from them may print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretBytes(…)"

    __str__ = __repr__

    def __reduce__(self) -> Never:
        raise TypeError("SecretBytes are never pickled")


class Named(dict[str, str]):
    """Parameters of a request, shown by their names alone: a crash report that tells the locals of a frame tells no
    token (ADR 0009)."""

    def __repr__(self) -> str:
        return f"Named({', '.join(self)})"

    __str__ = __repr__


def fresh_token() -> Secret:
    """256 random bits, URL-safe: a ticket, `state`, nonce, code, client secret or access token."""
    return Secret(secrets.token_urlsafe(32))


def fresh_id(prefix: str) -> str:
    """An opaque id that says what it is of; it names something and opens nothing."""
    return f"{prefix}_{secrets.token_hex(16)}"


def digest(text: str) -> bytes:
    """What is stored of a random value: at 256 bits a plain hash suffices (docs/facts/security.md §4.2.4)."""
    return hashlib.sha256(text.encode()).digest()
