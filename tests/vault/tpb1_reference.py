"""TPB1 once more, straight from docs/facts/security.md §4.2.1 and nothing of `broker` in it.

`omit` leaves one authenticated element out by its name, as a vault with that mistake in it would.
"""

import base64
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def lp(**parts: object) -> bytes:
    kept = [value for name, value in parts.items() if value is not None]
    raw = [value if isinstance(value, bytes) else str(value).encode("utf-8") for value in kept]
    return b"".join(struct.pack(">I", len(value)) + value for value in raw)


def but(omit: str, **parts: object) -> bytes:
    return lp(**{name: None if name == omit else value for name, value in parts.items()})


def hkdf(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    pseudorandom = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    block, out = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.new(pseudorandom, block + info + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def wrapped_tk(kek: bytes, kid: str, tk: bytes, tenant: str, tk_id: bytes, nonce: bytes, omit: str = "") -> bytes:
    context = but(omit, tk="tk", tenant=tenant, tk_id=tk_id.hex())
    aad = but(omit, label="tpb/kek/1", kid=kid, context=context)
    return nonce + AESGCM(kek).encrypt(nonce, tk, aad)


def wrapped_dek(
    tk: bytes, dek: bytes, tenant: str, connection: str, tk_id: bytes, dek_id: bytes, nonce: bytes, omit: str = ""
) -> bytes:
    ids = {"tk_id": tk_id.hex(), "dek_id": dek_id.hex()}
    aad = but(omit, label="tpb/dek/1", tenant=tenant, connection=connection, **ids)
    return nonce + AESGCM(tk).encrypt(nonce, dek, aad)


def sealed(
    dek: bytes,
    dek_id: bytes,
    salt: bytes,
    plaintext: bytes,
    *,
    tenant: str,
    connection: str,
    column: str,
    version: int,
    omit: str = "",
) -> bytes:
    where = {"tenant": tenant, "connection": connection, "column": column, "version": version}
    aad = but(omit, label="tpb/aad/1", magic="TPB1", dek_id=dek_id.hex(), **where)
    derived = hkdf(dek, salt, but(omit, info="tpb/msg/1", aad=aad), 76)
    used = b"" if omit == "associated data" else aad
    ciphertext = AESGCM(derived[:32]).encrypt(derived[32:44], plaintext, used)
    return b"TPB1" + dek_id + salt + derived[44:76] + ciphertext


def blind_index(root: bytes, provider: str, client_id: str, value: str, omit: str = "") -> bytes:
    key = hkdf(root, b"", but(omit, label="tpb/bidx/1", provider=provider, client_id=client_id), 32)
    return hmac.new(key, lp(value=value), hashlib.sha256).digest()


def key_of(name: bytes) -> bytes:
    """A loud constant of 32 bytes."""
    return name.ljust(32, b"-")


def entry(kid: str, name: bytes) -> str:
    """A key ring's entry for it."""
    return f"{kid}:{base64.urlsafe_b64encode(key_of(name)).decode().rstrip('=')}"
