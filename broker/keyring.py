"""Where keys are: key encryption keys as text, file or variable; the key tables; unwrapped keys in memory.

Nothing is encrypted here (`broker.vault` does that), and no key stands in a message: an entry that is wrong is named
by its number, since a mistyped one may be a key from its first character on.
"""

import base64
import hmac
import os
import re
import stat
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import and_, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import Insert

from broker.errors import ConfigurationError, Unavailable
from broker.models import ConnectionKey, KeyCheck, TenantKey
from broker.secret import Secret

Random = Callable[[int], bytes]
KEY = 32
"""Bytes of every key."""
REMEMBERED, REMEMBERED_FOR = 1024, 300.0
"""Unwrapped tenant keys kept in a process, and for how many seconds at most (docs/facts/security.md §4.2.5)."""
NO_ADAPTER = ("aws-kms", "gcp-kms", "vault")
"""Key services for which a `KeySource` can be written, and none is installed."""
FILE_AT_MOST = 65_536


class KeySource(Protocol):
    """Key encryption keys: `broker.vault.KeyRing`, or a KMS (docs/facts/security.md §4.2.5).

    `context` is authenticated with the key (a KMS: encryption context, associated data). Raises
    `broker.vault.Undecryptable` for what it will not unwrap, `Unavailable` when it cannot be reached.
    """

    @property
    def primary(self) -> str:
        """Id of the key that wraps."""

    def check_values(self) -> Mapping[str, bytes]:
        """Id → check value of each key that unwraps here; any constant where the key cannot be seen."""

    def wrap(self, plaintext: bytes, context: bytes) -> tuple[str, bytes]:
        """Id of the key used, and the wrapped bytes."""

    def unwrap(self, kid: str, blob: bytes, context: bytes) -> bytes:
        """The plaintext that `wrap` was given with the same context."""


# --- key encryption keys as text -----------------------------------------------------------------------------


def parse_keys(text: Secret | str) -> dict[str, bytes]:
    """Id → key, the primary first, of `kid:base64url` entries between blanks, line ends or commas; # is a comment.

    Raises `ConfigurationError` with every problem (INP-96).
    """
    lines = (text.reveal() if isinstance(text, Secret) else text).splitlines()
    kept = " ".join(line for line in lines if not line.lstrip().startswith("#"))
    entries = [_Entry.parse(entry) for entry in re.split(r"[\s,]+", kept) if entry]
    problems = [f"key {number}: {entry.problem}" for number, entry in enumerate(entries, 1) if entry.problem]
    for kid, count in Counter(entry.kid for entry in entries if entry.kid).items():
        if count > 1:
            problems.append(f"key id {kid} stands there {count} times: give each key an id of its own")
    keys = [entry.key for entry in entries if not entry.problem]
    if len(set(keys)) < len(keys):
        problems.append("one key stands there under two ids: a new id needs a new key")
    if not entries:
        problems.append("there is no key: make one with broker keys generate")
    if problems:
        raise ConfigurationError(problems)
    return {entry.kid: entry.key for entry in entries}


class _Entry(NamedTuple):
    kid: str
    key: bytes
    problem: str

    @classmethod
    def parse(cls, text: str) -> "_Entry":
        kid, colon, encoded = text.partition(":")
        if not colon or not re.fullmatch(r"[a-z0-9-]{1,64}", kid):
            return cls("", b"", "is not kid:key with a kid of 1 to 64 small letters, digits and hyphens")
        encoded = encoded.rstrip("=")
        if not re.fullmatch(r"[A-Za-z0-9_-]*", encoded) or len(encoded) % 4 == 1:
            return cls(kid, b"", "is not base64url")
        key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        if len(key) != KEY:
            return cls(kid, b"", f"has {len(key)} bytes instead of {KEY}")
        if _encode(key) != encoded:
            return cls(kid, b"", "is not the base64url of any key: mistyped?")
        return cls(kid, key, "" if any(key) else "is all zero")


def read_keys(source: str, environ: Mapping[str, str]) -> Secret:
    """The text behind `file:/path` or `env:NAME`. Raises `ConfigurationError`."""
    scheme, _, place = source.partition(":")
    if scheme == "file":
        return _read_file(place)
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", place):
        if not environ.get(place):
            raise ConfigurationError([f"the variable {place} that should hold the keys is not set"])
        return Secret(environ[place])
    if scheme in NO_ADAPTER:
        raise ConfigurationError([f"no adapter for {scheme} is installed: use file:/path or env:NAME"])
    raise ConfigurationError(["keys come from file:/path or env:NAME"])


def _read_file(place: str) -> Secret:
    path = place.removeprefix("//")
    if not path.startswith("/"):
        raise ConfigurationError(["the key file must be given as file:/path, from the root"])
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError([f"the key file {path} is not a regular file"])
            if mode & 0o077:
                raise ConfigurationError([f"the key file {path} is open to others: chmod 600 {path}"])
            return Secret(file.read(FILE_AT_MOST).decode())
    except OSError as error:
        raise ConfigurationError([f"the key file {path} cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"the key file {path} is not text"]) from None


def _open_at_once(path: str, flags: int) -> int:
    """A pipe would otherwise hold up the start before it can be refused."""
    return os.open(path, flags | os.O_NONBLOCK)


def generate_key(kid: str, *, random: Random = os.urandom) -> Secret:
    """One entry for a key ring. Raises `ConfigurationError` for an impossible id."""
    entry = Secret(f"{kid}:{_encode(draw(random, KEY))}")
    parse_keys(entry)
    return entry


def write_key_file(path: str | os.PathLike[str], *, kid: str = "key-1", random: Random = os.urandom) -> None:
    """A new file (mode 0600) with one new key. Raises `ConfigurationError`; an existing file is left alone."""
    entry = generate_key(kid, random=random).reveal()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError([f"the key file {path} cannot be made: {error.strerror}"]) from None
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(entry + "\n")
            file.flush()
            os.fsync(descriptor)
        _sync_directory(Path(path).parent)
    except OSError as error:
        os.unlink(path)
        raise ConfigurationError([f"the key file {path} cannot be written: {error.strerror}"]) from None


def _sync_directory(path: Path) -> None:
    """Without it a power cut can take the new file's name away, and with it all that the key seals."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def draw(random: Random, size: int) -> bytes:
    """Random bytes. Raises `Unavailable` rather than give fewer than asked for (CRY-11)."""
    try:
        drawn = random(size)
    except (OSError, NotImplementedError):
        drawn = b""
    if len(drawn) != size:
        raise Unavailable("The system gave no random bytes.")
    return drawn


# --- check values --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyStatus:
    """A key encryption key that wraps nothing and is not primary can be retired (§4.2.7)."""

    kid: str
    primary: bool
    held: bool
    """Whether this process can unwrap with it."""
    tenant_keys: int


def check_value(key: bytes) -> bytes:
    """8 bytes by which a key is known again."""
    return hmac.digest(key, b"tpb/kcv/1", "sha256")[:8]


def key_status(database: DatabaseConnection, source: KeySource) -> list[KeyStatus]:
    """Each key encryption key that is held or wraps something, by id."""
    held, wraps = source.check_values(), _wraps(database)
    return [
        KeyStatus(kid, primary=kid == source.primary, held=kid in held, tenant_keys=wraps.get(kid, 0))
        for kid in sorted({*held, *wraps})
    ]


def check_keys(database: DatabaseConnection, source: KeySource) -> None:
    """See `broker.vault.Vault.check_keys`."""
    problems = _key_problems(database, source)
    if not problems:
        _record_check_values(database, source)
        problems = _key_problems(database, source)
    if problems:
        raise ConfigurationError(problems)


def primary_is_known(database: DatabaseConnection, source: KeySource) -> bool:
    """Record the primary key's check value at its first use; False where another key was first under its id."""
    value = source.check_values()[source.primary]
    if source.primary not in _recorded(database):
        insert_once(database, insert(KeyCheck).values(kid=source.primary, check_value=value))
    return hmac.compare_digest(_recorded(database)[source.primary], value)


def _key_problems(database: DatabaseConnection, source: KeySource) -> list[str]:
    held, recorded = source.check_values(), _recorded(database)
    other = [kid for kid in held if kid in recorded and not hmac.compare_digest(held[kid], recorded[kid])]
    missing = {kid: count for kid, count in _wraps(database).items() if kid not in held}
    return [
        *(f"key {kid} is not the one that was first used under this id: put that one back" for kid in other),
        *(f"key {kid} is missing and wraps tenant keys ({count}): put it back" for kid, count in missing.items()),
    ]


def _record_check_values(database: DatabaseConnection, source: KeySource) -> None:
    recorded = _recorded(database)
    for kid, value in source.check_values().items():
        if kid not in recorded:
            insert_once(database, insert(KeyCheck).values(kid=kid, check_value=value))


def _recorded(database: DatabaseConnection) -> dict[str, bytes]:
    return {kid: value for kid, value in database.execute(select(KeyCheck.kid, KeyCheck.check_value))}


def _wraps(database: DatabaseConnection) -> dict[str, int]:
    counted = select(TenantKey.kid, func.count()).group_by(TenantKey.kid).order_by(TenantKey.kid)
    return {kid: count for kid, count in database.execute(counted)}


# --- rows ----------------------------------------------------------------------------------------------------


class TenantRow(NamedTuple):
    """A tenant's key."""

    tk_id: bytes
    kid: str
    wrapped: bytes


class KeyRows(NamedTuple):
    """A connection's key and its tenant's, as one SELECT of `KEY_COLUMNS` yields them."""

    dek_id: bytes
    wrapped_dek: bytes
    tk_id: bytes
    kid: str | None
    """None, as `wrapped_tk`: the tenant's key is gone."""
    wrapped_tk: bytes | None


KEY_COLUMNS = (
    ConnectionKey.dek_id,
    ConnectionKey.wrapped.label("wrapped_dek"),
    ConnectionKey.tk_id,
    TenantKey.kid,
    TenantKey.wrapped.label("wrapped_tk"),
)
WRAPPED_BY = and_(TenantKey.tenant == ConnectionKey.tenant, TenantKey.tk_id == ConnectionKey.tk_id)
"""ON clause of the outer join from connection keys to tenant keys, for callers of `Vault.open_prefetched`."""

_KEY_ROWS = (
    select(*KEY_COLUMNS)
    .outerjoin(TenantKey, WRAPPED_BY)
    .where(ConnectionKey.tenant == bindparam("tenant"), ConnectionKey.connection == bindparam("connection"))
)
_TENANT_ROWS = (
    select(TenantKey.tk_id, TenantKey.kid, TenantKey.wrapped)
    .where(TenantKey.tenant == bindparam("tenant"))
    .order_by(TenantKey.generation.desc())
)


def key_rows(database: DatabaseConnection, tenant: str, connection: str) -> KeyRows | None:
    row = database.execute(_KEY_ROWS, {"tenant": tenant, "connection": connection}).first()
    return KeyRows(*row) if row else None


def tenant_rows(database: DatabaseConnection, tenant: str) -> list[TenantRow]:
    """Newest first."""
    return [TenantRow(*row) for row in database.execute(_TENANT_ROWS, {"tenant": tenant})]


def primary_row(database: DatabaseConnection, tenant: str) -> TenantRow | None:
    return next(iter(tenant_rows(database, tenant)), None)


def insert_once(database: DatabaseConnection, statement: Insert) -> None:
    """Insert, or leave what another process inserted first; a savepoint keeps the transaction alive."""
    try:
        with database.begin_nested():
            database.execute(statement)
    except IntegrityError:
        pass


# --- memory --------------------------------------------------------------------------------------------------


class Unwrapped:
    """Unwrapped tenant keys by all that they were unwrapped from, so that a changed row is never answered for.

    Safe among threads. `monotonic`: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, TenantRow], tuple[float, bytes]] = OrderedDict()

    def get(self, tenant: str, row: TenantRow) -> bytes | None:
        with self._lock:
            until, key = self._kept.get((tenant, row), (0.0, None))
            if key is None or until <= self._monotonic():
                self._kept.pop((tenant, row), None)
                return None
            self._kept.move_to_end((tenant, row))
            return key

    def put(self, tenant: str, row: TenantRow, key: bytes) -> None:
        now = self._monotonic()
        with self._lock:
            for name in [name for name, (until, _) in self._kept.items() if until <= now]:
                del self._kept[name]
            self._kept[tenant, row] = (now + REMEMBERED_FOR, key)
            while len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)

    def drop(self, tenant: str | None = None) -> None:
        """Forget a tenant's keys, or all."""
        with self._lock:
            for name in [name for name in self._kept if tenant in (None, name[0])]:
                del self._kept[name]
