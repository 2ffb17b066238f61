"""The bytes of TPB1 (docs/facts/security.md §4.2.1). Pure: no database, no clock, and the salt is given.

Authenticated are always the caller's tenant and connection, never what a row says of itself. The bytes never
change under the name TPB1.
"""

import hmac
from typing import Literal, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.errors import BrokerError
from broker.keyring import KEY, Random, draw
from broker.secret import SecretBytes

Reason = Literal[
    "format",
    "unknown KEK id",
    "wrong KEK",
    "no tenant key",
    "no DEK (shredded)",
    "wrap length",
    "wrap tag",
    "commitment",
    "tag",
]

MAGIC = b"TPB1"
ID, SALT, COMMITMENT, NONCE, TAG = 8, 32, 32, 12, 16
HEADER = len(MAGIC) + ID + SALT + COMMITMENT


class Undecryptable(BrokerError):
    """It does not open. Whatever the reason, callers see one answer (CRY-13); `reason` is for logs only."""

    def __init__(self, reason: Reason) -> None:
        super().__init__("What the broker has stored cannot be opened. Repeating the request does not help.")
        self.reason = reason


class Place(NamedTuple):
    """Where a value belongs; it opens nowhere else."""

    tenant: str
    connection: str
    column: str
    version: int


class Dek(NamedTuple):
    """A connection's key."""

    id: bytes
    key: SecretBytes


# --- messages ------------------------------------------------------------------------------------------------


def seal(dek: Dek, place: Place, salt: bytes, plaintext: bytes) -> bytes:
    """The blob; `salt` must never have been used before."""
    associated = _associated(dek.id, place)
    message = _Message.derive(dek.key, salt, associated)
    return (
        MAGIC + dek.id + salt + message.commitment + AESGCM(message.key).encrypt(message.nonce, plaintext, associated)
    )


class Sealed(NamedTuple):
    """A blob's parts."""

    dek_id: bytes
    salt: bytes
    commitment: bytes
    ciphertext: bytes

    @classmethod
    def parse(cls, blob: object) -> Self:
        """A column may hold anything by now, whatever its type says (CRY-03)."""
        if not isinstance(blob, bytes) or len(blob) < HEADER + TAG or not blob.startswith(MAGIC):
            raise Undecryptable("format")
        at = len(MAGIC)
        dek_id, salt = blob[at : at + ID], blob[at + ID : at + ID + SALT]
        return cls(dek_id, salt, blob[HEADER - COMMITMENT : HEADER], blob[HEADER:])

    def open(self, dek: Dek, place: Place) -> bytes:
        """The commitment first, so that a blob opens under one key only (§4.2.3)."""
        if dek.id != self.dek_id:
            raise Undecryptable("no DEK (shredded)")
        associated = _associated(dek.id, place)
        message = _Message.derive(dek.key, self.salt, associated)
        if not hmac.compare_digest(message.commitment, self.commitment):
            raise Undecryptable("commitment")
        try:
            return AESGCM(message.key).decrypt(message.nonce, self.ciphertext, associated)
        except InvalidTag:
            raise Undecryptable("tag") from None


class _Message(NamedTuple):
    """What one message is sealed with."""

    key: SecretBytes
    nonce: bytes
    commitment: bytes

    @classmethod
    def derive(cls, dek: SecretBytes, salt: bytes, associated: bytes) -> Self:
        derived = _hkdf(dek, salt, lp("tpb/msg/1", associated), KEY + NONCE + COMMITMENT)
        return cls(SecretBytes(derived[:KEY]), derived[KEY : KEY + NONCE], derived[KEY + NONCE :])


def _associated(dek_id: bytes, place: Place) -> bytes:
    return lp("tpb/aad/1", MAGIC, _hex(dek_id), *place)


# --- keys under keys -----------------------------------------------------------------------------------------


def wrap(key: bytes, plaintext: bytes, context: bytes, random: Random) -> bytes:
    """A key under another: 60 bytes, nonce ‖ ciphertext ‖ tag. Raises `Unavailable` without random bytes."""
    nonce = draw(random, NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def unwrap(key: bytes, wrapped: object, context: bytes) -> SecretBytes:
    """Raises `Undecryptable`."""
    if not isinstance(wrapped, bytes) or len(wrapped) != NONCE + KEY + TAG:
        raise Undecryptable("wrap length")
    try:
        return SecretBytes(AESGCM(key).decrypt(wrapped[:NONCE], wrapped[NONCE:], context))
    except InvalidTag:
        raise Undecryptable("wrap tag") from None


def kek_context(kid: str, context: bytes) -> bytes:
    return lp("tpb/kek/1", kid, context)


def tk_context(tenant: str, tk_id: bytes) -> bytes:
    return lp("tk", tenant, _hex(tk_id))


def dek_context(tenant: str, connection: str, tk_id: bytes, dek_id: bytes) -> bytes:
    return lp("tpb/dek/1", tenant, connection, _hex(tk_id), _hex(dek_id))


def _hex(identity: object) -> str:
    """An id as it is authenticated. SQLite keeps any type in any column, so that it may be no bytes by now."""
    if not isinstance(identity, bytes):
        raise Undecryptable("format")
    return identity.hex()


# --- the rest ------------------------------------------------------------------------------------------------


def blind_index(root: SecretBytes, provider: str, client_id: str, value: str) -> bytes:
    """32 bytes, equal for equal values at one provider and client, and telling nothing else (§4.2.4)."""
    key = _hkdf(root, None, lp("tpb/bidx/1", provider, client_id), KEY)
    return hmac.digest(key, lp(value), "sha256")


def lp(*parts: bytes | str | int) -> bytes:
    """Each part behind its length in 4 bytes: no two lists of parts give the same bytes. Never raises."""
    encoded = [part if isinstance(part, bytes) else str(part).encode(errors="surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _hkdf(key: bytes, salt: bytes | None, info: bytes, length: int) -> SecretBytes:
    return SecretBytes(HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key))
