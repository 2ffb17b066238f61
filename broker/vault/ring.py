"""Key encryption keys in memory: the `KeySource` of a broker without a KMS."""

import os
from collections.abc import Callable, Mapping
from typing import Never, Self

from broker import keyring
from broker.errors import ConfigurationError, Unavailable
from broker.keyring import Random
from broker.secret import Secret, SecretBytes
from broker.vault.cipher import Undecryptable, kek_context, unwrap, wrap

Read = Callable[[], Mapping[str, SecretBytes]]


class KeyRing:
    """The first key wraps, all unwrap.

    A ring that was loaded reads its source again before it wraps, and when it meets an id that it does not hold:
    a key added to the file opens at once in every process, and one that was put first seals, without a restart.
    """

    __slots__ = ("_check_values", "_keys", "_random", "_read")

    def __init__(
        self, keys: Mapping[str, SecretBytes], *, random: Random = os.urandom, read: Read | None = None
    ) -> None:
        self._keys = dict(keys)
        self._check_values = _check_values(keys)
        self._random = random
        self._read = read

    @classmethod
    def parse(cls, text: Secret | str, *, random: Random = os.urandom) -> Self:
        """From `kid:base64url` entries, as `broker.keyring.parse_keys`. Raises `ConfigurationError`."""
        return cls(keyring.parse_keys(text), random=random)

    @classmethod
    def load(cls, source: str, *, environ: Mapping[str, str] = os.environ) -> Self:
        """From `file:/path` (mode 0600) or `env:NAME`. Raises `ConfigurationError` (INP-96)."""

        def read() -> Mapping[str, SecretBytes]:
            return keyring.parse_keys(keyring.read_keys(source, environ))

        return cls(read(), read=read)

    @property
    def primary(self) -> str:
        """Id of the key that wraps, in the source as it is now."""
        self._renew()
        return next(iter(self._keys))

    def check_values(self) -> Mapping[str, bytes]:
        """Id → check value of each key in the source as it is now. Raises `Unavailable` where it cannot be read."""
        self._renew()
        return {kid: self._check_values[kid] for kid in self._keys}

    def wrap(self, plaintext: bytes, context: bytes) -> tuple[str, bytes]:
        """Under the first key in the source as it is now: never under one that is lost at the next start."""
        self._renew()
        kid, key = next(iter(self._keys.items()))
        return kid, wrap(key, plaintext, kek_context(kid, context), self._random)

    def unwrap(self, kid: str, blob: bytes, context: bytes) -> SecretBytes:
        """Only under the key of that id; raises `Undecryptable`."""
        if kid not in self._keys:
            self._renew()
        key = self._keys.get(kid)
        if key is None:
            raise Undecryptable("unknown KEK id")
        return unwrap(key, blob, kek_context(kid, context))

    def _renew(self) -> None:
        """In one process an id never changes its key: what was checked once stays checked."""
        if self._read is None:
            return
        try:
            keys = self._read()
        except ConfigurationError:
            raise Unavailable("The keys cannot be read again: see broker keys status.") from None
        check_values = _check_values(keys)
        if any(self._check_values.get(kid, value) != value for kid, value in check_values.items()):
            raise Unavailable("A key id now has another key: see broker keys status.")
        self._check_values = {**self._check_values, **check_values}
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __reduce__(self) -> Never:
        raise TypeError("a KeyRing is never pickled")


def _check_values(keys: Mapping[str, SecretBytes]) -> dict[str, bytes]:
    return {kid: keyring.check_value(key) for kid, key in keys.items()}
