"""Seal, open, rewrap, shred: scheme TPB1 (docs/facts/security.md §4.2), and the only user of `cryptography`.

    key encryption key (a `KeySource`, outside the database)
     └─ wraps a tenant's key
         └─ wraps a connection's key
             └─ with a fresh salt derives one message's key, nonce and commitment

Authenticated are always the caller's tenant and connection, never what a row says of itself. There is no fall-back
to plain text and no trying of keys. Nothing here logs. The bytes never change under the name TPB1.
"""

import hmac
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple, Never, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from broker import keyring
from broker.errors import BrokerError
from broker.keyring import KEY, KeyRows, KeySource, KeyStatus, Random, TenantRow, draw, key_rows, primary_row
from broker.models import ConnectionKey, TenantKey
from broker.secret import Secret

Keys = Session | DatabaseConnection
"""Where the key tables are: in a transaction; for `open`, `seal` and `status` autocommit is enough."""
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
ROOT = "*"
"""The reserved tenant, the broker itself: its key is the root of the blind indexes."""


class Undecryptable(BrokerError):
    """It does not open. Whatever the reason, callers see one answer (CRY-13); `reason` is for logs only."""

    def __init__(self, reason: Reason) -> None:
        super().__init__("What the broker has stored cannot be opened. Repeating the request does not help.")
        self.reason = reason


class KeyRing:
    """Key encryption keys in memory; the first wraps, all unwrap. The `KeySource` of a broker without a KMS."""

    __slots__ = ("_keys", "_random", "primary")

    def __init__(self, keys: Mapping[str, bytes], *, random: Random = os.urandom) -> None:
        self._keys = dict(keys)
        self._random = random
        self.primary = next(iter(self._keys))

    @classmethod
    def parse(cls, text: Secret | str, *, random: Random = os.urandom) -> Self:
        """From `kid:base64url` entries, as `broker.keyring.parse_keys`. Raises `ConfigurationError`."""
        return cls(keyring.parse_keys(text), random=random)

    @classmethod
    def load(cls, source: str, *, environ: Mapping[str, str] = os.environ) -> Self:
        """From `file:/path` (mode 0600) or `env:NAME`. Raises `ConfigurationError` (INP-96)."""
        return cls.parse(keyring.read_keys(source, environ))

    def check_values(self) -> Mapping[str, bytes]:
        return {kid: keyring.check_value(key) for kid, key in self._keys.items()}

    def wrap(self, plaintext: bytes, context: bytes) -> tuple[str, bytes]:
        associated = lp("tpb/kek/1", self.primary, context)
        return self.primary, _wrap(self._keys[self.primary], plaintext, associated, self._random)

    def unwrap(self, kid: str, blob: bytes, context: bytes) -> bytes:
        """Only under the key of that id; raises `Undecryptable`."""
        if kid not in self._keys:
            raise Undecryptable("unknown KEK id")
        return _unwrap(self._keys[kid], blob, lp("tpb/kek/1", kid, context))

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __reduce__(self) -> Never:
        raise TypeError("a KeyRing is never pickled")


class Vault:
    """Share one among the threads of a process; it keeps nothing but unwrapped tenant keys, for minutes.

    Connection keys are read at every use, so that shredding takes effect at once. What cannot be opened raises
    `Undecryptable` and nothing else; a random source that fails raises `Unavailable` before anything is written.
    """

    def __init__(
        self,
        key_source: KeySource,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        random: Random = os.urandom,
    ) -> None:
        self._source = key_source
        self._clock = clock
        self._random = random
        self._unwrapped = keyring.Unwrapped(monotonic)

    def new_key(self, keys: Keys, *, tenant: str, connection: str) -> None:
        """Give a connection its key, and its tenant one if it has none. Does nothing where it exists."""
        _refuse_reserved(tenant)
        database = _database(keys)
        if key_rows(database, tenant, connection):
            return
        primary = primary_row(database, tenant) or self._new_generation(database, tenant)
        dek_id = draw(self._random, ID)
        wrapped = self._wrap_dek(tenant, connection, primary, dek_id, draw(self._random, KEY))
        row = {"dek_id": dek_id, "tenant": tenant, "connection": connection, "tk_id": primary.tk_id}
        keyring.insert_once(database, insert(ConnectionKey).values(**row, wrapped=wrapped, created_at=self._clock()))

    def seal(self, keys: Keys, *, tenant: str, connection: str, column: str, version: int, plaintext: bytes) -> bytes:
        """A blob, 92 bytes longer, that opens only under the same tenant, connection, column and version."""
        rows = key_rows(_database(keys), tenant, connection)
        dek_id, dek = self._dek(tenant, connection, rows)
        salt = draw(self._random, SALT)
        associated = _associated(dek_id, tenant, connection, column, version)
        message = _Message.derive(dek, salt, associated)
        ciphertext = AESGCM(message.key).encrypt(message.nonce, plaintext, associated)
        return MAGIC + dek_id + salt + message.commitment + ciphertext

    def open(self, keys: Keys, *, tenant: str, connection: str, column: str, version: int, blob: bytes | None) -> bytes:
        """What `seal` was given; one SELECT."""
        _Sealed.parse(blob)
        rows = key_rows(_database(keys), tenant, connection)
        return self.open_prefetched(
            tenant=tenant, connection=connection, column=column, version=version, blob=blob, rows=rows
        )

    def open_prefetched(
        self, *, tenant: str, connection: str, column: str, version: int, blob: bytes | None, rows: KeyRows | None
    ) -> bytes:
        """`open`, where the caller's own SELECT fetched the key rows; None if there were none."""
        sealed = _Sealed.parse(blob)
        dek_id, dek = self._dek(tenant, connection, rows)
        if dek_id != sealed.dek_id:
            raise Undecryptable("no DEK (shredded)")
        associated = _associated(dek_id, tenant, connection, column, version)
        message = _Message.derive(dek, sealed.salt, associated)
        if not hmac.compare_digest(message.commitment, sealed.commitment):
            raise Undecryptable("commitment")
        try:
            return AESGCM(message.key).decrypt(message.nonce, sealed.ciphertext, associated)
        except InvalidTag:
            raise Undecryptable("tag") from None

    def blind_index(self, keys: Keys, *, provider: str, client_id: str, value: str) -> bytes:
        """32 bytes, equal for equal values at one provider and client, and telling nothing else (§4.2.4).

        Makes the root at first use; raises `Undecryptable` where that would fall into autocommit.
        """
        database = _database(keys)
        root = primary_row(database, ROOT)
        if root is None:
            if database.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
                raise Undecryptable("no tenant key")
            root = self._new_generation(database, ROOT)
        key = _hkdf(self._tenant_key(ROOT, root), None, lp("tpb/bidx/1", provider, client_id), KEY)
        return hmac.digest(key, lp(value), "sha256")

    # --- shredding -------------------------------------------------------------------------------------------

    def shred(self, keys: Keys, *, tenant: str, connection: str) -> bool:
        """Destroy a connection's key: what it sealed is lost. False where there was none."""
        mine = and_(ConnectionKey.tenant == tenant, ConnectionKey.connection == connection)
        return _database(keys).execute(delete(ConnectionKey).where(mine)).rowcount > 0

    def shred_tenant(self, keys: Keys, *, tenant: str) -> bool:
        """Destroy a tenant's keys: restored connection keys do not open either. False where there was none."""
        _refuse_reserved(tenant)
        database = _database(keys)
        database.execute(delete(ConnectionKey).where(ConnectionKey.tenant == tenant))
        found = database.execute(delete(TenantKey).where(TenantKey.tenant == tenant)).rowcount > 0
        self._unwrapped.drop(tenant)
        return found

    def forget(self) -> None:
        """Drop every unwrapped key, as at SIGTERM."""
        self._unwrapped.drop()

    # --- rotation (§4.2.7) -----------------------------------------------------------------------------------

    def check_keys(self, keys: Keys) -> None:
        """Compare the key encryption keys with their recorded check values; record those of new ones.

        Raises `ConfigurationError`, having written nothing, when a known id has another key, or an id that
        still wraps tenant keys has none (CRY-06).
        """
        keyring.check_keys(_database(keys), self._source)

    def status(self, keys: Keys) -> list[KeyStatus]:
        """Each key encryption key that is held or wraps something, by id."""
        return keyring.key_status(_database(keys), self._source)

    def rewrap_tenant_key(self, keys: Keys, *, tenant: str) -> int:
        """Wrap a tenant's keys under the primary key encryption key; how many were not. Compare-and-set."""
        database = _database(keys)
        rows = [row for row in keyring.tenant_rows(database, tenant) if row.kid != self._source.primary]
        return sum(self._rewrap(database, tenant, row) for row in rows)

    def new_tenant_key(self, keys: Keys, *, tenant: str) -> None:
        """A further generation, which wraps from now on; `rewrap_connection_key` brings the others over."""
        _refuse_reserved(tenant)
        self._new_generation(_database(keys), tenant)

    def rewrap_connection_key(self, keys: Keys, *, tenant: str, connection: str) -> bool:
        """Wrap a connection's key under its tenant's newest; False if it was. Compare-and-set."""
        database = _database(keys)
        rows = key_rows(database, tenant, connection)
        dek_id, dek = self._dek(tenant, connection, rows)
        primary = primary_row(database, tenant)
        if rows is None or primary is None or primary.tk_id == rows.tk_id:
            return False
        wrapped = self._wrap_dek(tenant, connection, primary, dek_id, dek)
        unchanged = and_(ConnectionKey.dek_id == dek_id, ConnectionKey.wrapped == rows.wrapped_dek)
        change = update(ConnectionKey).where(unchanged).values(tk_id=primary.tk_id, wrapped=wrapped)
        return database.execute(change).rowcount > 0

    # --- layers of keys --------------------------------------------------------------------------------------

    def _new_generation(self, database: DatabaseConnection, tenant: str) -> TenantRow:
        """Make a tenant's next key, or find the one that another process makes at the same time."""
        newest = database.scalar(select(func.max(TenantKey.generation)).where(TenantKey.tenant == tenant))
        tk_id = draw(self._random, ID)
        kid, wrapped = self._wrap_tk(database, tenant, tk_id, draw(self._random, KEY))
        row = {"tenant": tenant, "generation": (newest or 0) + 1, "tk_id": tk_id, "kid": kid, "wrapped": wrapped}
        keyring.insert_once(database, insert(TenantKey).values(**row, created_at=self._clock()))
        primary = primary_row(database, tenant)
        if primary is None:
            raise Undecryptable("no tenant key")
        return primary

    def _rewrap(self, database: DatabaseConnection, tenant: str, row: TenantRow) -> int:
        kid, wrapped = self._wrap_tk(database, tenant, row.tk_id, self._tenant_key(tenant, row))
        unchanged = and_(TenantKey.tenant == tenant, TenantKey.tk_id == row.tk_id, TenantKey.wrapped == row.wrapped)
        return database.execute(update(TenantKey).where(unchanged).values(kid=kid, wrapped=wrapped)).rowcount

    def _wrap_tk(self, database: DatabaseConnection, tenant: str, tk_id: bytes, key: bytes) -> tuple[str, bytes]:
        """Never under a key that others do not have by that id, even where `check_keys` was left out (CRY-06)."""
        if not keyring.primary_is_known(database, self._source):
            raise Undecryptable("wrong KEK")
        return self._source.wrap(key, _tk_context(tenant, tk_id))

    def _tenant_key(self, tenant: str, row: TenantRow) -> bytes:
        key = self._unwrapped.get(tenant, row)
        if key is None:
            key = self._source.unwrap(row.kid, row.wrapped, _tk_context(tenant, row.tk_id))
            if len(key) != KEY:
                raise Undecryptable("wrap length")
            self._unwrapped.put(tenant, row, key)
        return key

    def _dek(self, tenant: str, connection: str, rows: KeyRows | None) -> tuple[bytes, bytes]:
        """Id and bytes of a connection's key."""
        if rows is None:
            raise Undecryptable("no DEK (shredded)")
        if rows.kid is None or rows.wrapped_tk is None:
            raise Undecryptable("no tenant key")
        tenant_key = self._tenant_key(tenant, TenantRow(rows.tk_id, rows.kid, rows.wrapped_tk))
        context = _dek_context(tenant, connection, rows.tk_id, rows.dek_id)
        return rows.dek_id, _unwrap(tenant_key, rows.wrapped_dek, context)

    def _wrap_dek(self, tenant: str, connection: str, row: TenantRow, dek_id: bytes, dek: bytes) -> bytes:
        context = _dek_context(tenant, connection, row.tk_id, dek_id)
        return _wrap(self._tenant_key(tenant, row), dek, context, self._random)


def _database(keys: Keys) -> DatabaseConnection:
    """Core statements on the connection itself: a caller's own pending rows are not flushed in between."""
    return keys.connection() if isinstance(keys, Session) else keys


def _refuse_reserved(tenant: str) -> None:
    if tenant == ROOT:
        raise ValueError("the tenant * is the broker's own: without its key every blind index is stranded")


# --- bytes (§4.2.1) ------------------------------------------------------------------------------------------


def lp(*parts: bytes | str | int) -> bytes:
    """Each part behind its length in 4 bytes: no two lists of parts give the same bytes. Never raises."""
    encoded = [part if isinstance(part, bytes) else str(part).encode(errors="surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _wrap(key: bytes, plaintext: bytes, context: bytes, random: Random) -> bytes:
    """A key under another: 60 bytes, nonce ‖ ciphertext ‖ tag."""
    nonce = draw(random, NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def _unwrap(key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """Raises `Undecryptable`."""
    if not isinstance(wrapped, bytes) or len(wrapped) != NONCE + KEY + TAG:
        raise Undecryptable("wrap length")
    try:
        return AESGCM(key).decrypt(wrapped[:NONCE], wrapped[NONCE:], context)
    except InvalidTag:
        raise Undecryptable("wrap tag") from None


def _hex(identity: object) -> str:
    """An id as it is authenticated. SQLite keeps any type in any column, so that it may be no bytes by now."""
    if not isinstance(identity, bytes):
        raise Undecryptable("format")
    return identity.hex()


def _tk_context(tenant: str, tk_id: bytes) -> bytes:
    return lp("tk", tenant, _hex(tk_id))


def _dek_context(tenant: str, connection: str, tk_id: bytes, dek_id: bytes) -> bytes:
    return lp("tpb/dek/1", tenant, connection, _hex(tk_id), _hex(dek_id))


def _associated(dek_id: bytes, tenant: str, connection: str, column: str, version: int) -> bytes:
    return lp("tpb/aad/1", MAGIC, _hex(dek_id), tenant, connection, column, version)


def _hkdf(key: bytes, salt: bytes | None, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)


class _Message(NamedTuple):
    """What one message is sealed with."""

    key: bytes
    nonce: bytes
    commitment: bytes

    @classmethod
    def derive(cls, dek: bytes, salt: bytes, associated: bytes) -> "_Message":
        derived = _hkdf(dek, salt, lp("tpb/msg/1", associated), KEY + NONCE + COMMITMENT)
        return cls(derived[:KEY], derived[KEY : KEY + NONCE], derived[KEY + NONCE :])


class _Sealed(NamedTuple):
    """A blob's parts."""

    dek_id: bytes
    salt: bytes
    commitment: bytes
    ciphertext: bytes

    @classmethod
    def parse(cls, blob: object) -> "_Sealed":
        """A column may hold anything by now, whatever its type says (CRY-03)."""
        if not isinstance(blob, bytes) or len(blob) < HEADER + TAG or not blob.startswith(MAGIC):
            raise Undecryptable("format")
        at = len(MAGIC)
        dek_id, salt = blob[at : at + ID], blob[at + ID : at + ID + SALT]
        return cls(dek_id, salt, blob[HEADER - COMMITMENT : HEADER], blob[HEADER:])
