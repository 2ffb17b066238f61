"""Key encryption keys outside the database: as text, in a file, in a variable; made, added, put first.

Nothing is encrypted here (`broker.vault` does that), and no key stands in a message: an entry that is wrong is named
by its number, since a mistyped one may be a key from its first character on.
"""

import base64
import fcntl
import hmac
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from broker.errors import ConfigurationError, Unavailable
from broker.secret import Secret, SecretBytes

Random = Callable[[int], bytes]
KEY = 32
"""Bytes of every key."""
NO_ADAPTER = ("aws-kms", "gcp-kms", "vault")
"""Key services for which a `KeySource` can be written, and none is installed."""
FILE_AT_MOST = 65_536
AS_IT_IS = "surrogateescape"
"""What is no UTF-8 stays in a comment; in an entry it is refused like any other wrong letter, without being shown."""
KID = r"[a-z0-9-]{1,64}"


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


# --- as text -------------------------------------------------------------------------------------------------


def parse_keys(text: Secret | str) -> dict[str, SecretBytes]:
    """Id → key, the primary first, of `kid:base64url` entries between blanks, line ends or commas; # is a comment.

    Raises `ConfigurationError` with every problem (INP-96).
    """
    entries = [_Entry.parse(word) for word in _words(text)]
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
    key: SecretBytes
    problem: str

    @classmethod
    def parse(cls, text: str) -> "_Entry":
        kid, colon, encoded = text.partition(":")
        nothing = SecretBytes()
        if not colon or not re.fullmatch(KID, kid):
            return cls("", nothing, "is not kid:key with a kid of 1 to 64 small letters, digits and hyphens")
        encoded = encoded.rstrip("=")
        if not re.fullmatch(r"[A-Za-z0-9_-]*", encoded) or len(encoded) % 4 == 1:
            return cls(kid, nothing, "is not base64url")
        key = SecretBytes(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        if len(key) != KEY:
            return cls(kid, nothing, f"has {len(key)} bytes instead of {KEY}")
        if _encode(key) != encoded:
            return cls(kid, nothing, "is not the base64url of any key: mistyped?")
        return cls(kid, key, "" if any(key) else "is all zero")


def _words(text: Secret | str) -> Iterator[str]:
    for line in (text.reveal() if isinstance(text, Secret) else text).splitlines():
        if not _is_comment(line):
            yield from filter(None, re.split(r"[\s,]+", line))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _encode(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def _added(text: Secret, entry: Secret) -> Secret:
    """At the end: it opens, and does not seal."""
    before = text.reveal().rstrip().rstrip(",")
    line_by_line = "\n" in text.reveal()
    return Secret(f"{before}\n{entry.reveal()}\n" if line_by_line else f"{before},{entry.reveal()}")


def _put_first(text: Secret, kid: str) -> Secret:
    """That key's entry before all else; comments and the order of the others stay."""
    entry = next((word for word in _words(text) if word.startswith(f"{kid}:")), None)
    if entry is None:
        raise ConfigurationError([f"there is no key {kid}: add it with broker keys add"])
    moved = re.compile(rf"(?<![^\s,]){re.escape(entry)}(?![^\s,])[\s,]*")
    lines = [line if _is_comment(line) else moved.sub("", line).rstrip(" ,") for line in text.reveal().splitlines()]
    between = "\n" if "\n" in text.reveal() else ","
    return Secret(between.join([entry, *filter(None, lines)]) + between.strip(","))


# --- where the text is ---------------------------------------------------------------------------------------


def read_keys(source: str, environ: Mapping[str, str]) -> Secret:
    """The text behind `file:/path` or `env:NAME`. Raises `ConfigurationError`."""
    scheme, place = _place(source)
    if scheme == "file":
        return _read_file(place)
    if not environ.get(place):
        raise ConfigurationError([f"the variable {place} that should hold the keys is not set"])
    return Secret(environ[place])


def make_keys(source: str, *, kid: str, random: Random = os.urandom) -> Secret | None:
    """One new key: the file made, or given back as the value for the variable. Raises `ConfigurationError`."""
    scheme, place = _place(source)
    if scheme == "env":
        return generate_key(kid, random=random)
    write_key_file(place, kid=kid, random=random)
    return None


def add_key(source: str, environ: Mapping[str, str], *, kid: str, random: Random = os.urandom) -> Secret | None:
    """A further key, which opens but does not seal: the file changed, or the variable's new value given back.

    Raises `ConfigurationError`, having changed nothing.
    """
    entry = generate_key(kid, random=random)
    return _change(source, environ, lambda text: _added(text, entry))


def put_first(source: str, environ: Mapping[str, str], *, kid: str) -> Secret | None:
    """Let that key seal: the file changed, or the variable's new value given back. Raises `ConfigurationError`."""
    return _change(source, environ, lambda text: _put_first(text, kid))


def generate_key(kid: str, *, random: Random = os.urandom) -> Secret:
    """One entry for a key ring. Raises `ConfigurationError` for an impossible id, `Unavailable` without randomness."""
    entry = Secret(f"{kid}:{_encode(draw(random, KEY))}")
    parse_keys(entry)
    return entry


def draw(random: Random, size: int) -> bytes:
    """Random bytes. Raises `Unavailable` rather than give fewer than asked for (CRY-11)."""
    try:
        drawn = random(size)
    except (OSError, NotImplementedError):
        drawn = b""
    if len(drawn) != size:
        raise Unavailable("The system gave no random bytes.")
    return drawn


def check_value(key: bytes) -> bytes:
    """8 bytes by which a key is known again."""
    return hmac.digest(key, b"tpb/kcv/1", "sha256")[:8]


def _place(source: str) -> tuple[str, str]:
    """`file` and a path, or `env` and a name. Never shows the source: it may be the key itself."""
    scheme, _, place = source.partition(":")
    if scheme == "file":
        path = place.removeprefix("//")
        if not path.startswith("/"):
            raise ConfigurationError(["the key file must be given as file:/path, from the root"])
        return scheme, path
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", place):
        return scheme, place
    if scheme in NO_ADAPTER:
        raise ConfigurationError([f"no adapter for {scheme} is installed: use file:/path or env:NAME"])
    raise ConfigurationError(["keys come from file:/path or env:NAME"])


def _change(source: str, environ: Mapping[str, str], edit: Callable[[Secret], Secret]) -> Secret | None:
    scheme, place = _place(source)
    if scheme == "file":
        _replace_file(place, edit)
        return None
    text = edit(read_keys(source, environ))
    parse_keys(text)
    return text


# --- files ---------------------------------------------------------------------------------------------------


def _read_file(path: str) -> Secret:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError([f"the key file {path} is not a regular file"])
            if status.st_mode & 0o077:
                raise ConfigurationError([f"the key file {path} is open to others: chmod 600 {path}"])
            if status.st_size > FILE_AT_MOST:
                raise ConfigurationError([f"the key file {path} is longer than {FILE_AT_MOST} bytes"])
            return Secret(file.read(FILE_AT_MOST).decode(errors=AS_IT_IS))
    except OSError as error:
        raise ConfigurationError([f"the key file {path} cannot be read: {error.strerror}"]) from None


def _open_at_once(path: str, flags: int) -> int:
    """A pipe would otherwise hold up the start before it can be refused."""
    return os.open(path, flags | os.O_NONBLOCK)


def write_key_file(path: str | os.PathLike[str], *, kid: str = "key-1", random: Random = os.urandom) -> None:
    """A new file (mode 0600) with one new key. Raises `ConfigurationError`; an existing file is left alone."""
    entry = generate_key(kid, random=random)
    try:
        descriptor = _create(path)
    except OSError as error:
        raise ConfigurationError([f"the key file {path} cannot be made: {error.strerror}"]) from None
    try:
        _write(descriptor, f"{entry.reveal()}\n", mode=0o600)
        _sync_directory(Path(path).parent)
    except OSError as error:
        os.unlink(path)
        raise ConfigurationError([f"the key file {path} cannot be written: {error.strerror}"]) from None


def _replace_file(path: str, edit: Callable[[Secret], Secret]) -> None:
    """In one step: a reader finds the old text or the new, never a part, and so does whoever starts after a crash.

    One at a time, by a lock on the folder. Mode and owner stay; a link stays a link.
    """
    file = Path(path).resolve()
    beside = file.with_name(f".{file.name}.new")
    try:
        with _locked(file.parent):
            text = edit(_read_file(path))
            parse_keys(text)
            before = file.stat()
            beside.unlink(missing_ok=True)  # of one that was killed here
            try:
                _write(_create(beside), text.reveal(), mode=stat.S_IMODE(before.st_mode), owner=before.st_uid)
                beside.replace(file)
            finally:
                beside.unlink(missing_ok=True)
            _sync_directory(file.parent)
    except OSError as error:
        raise ConfigurationError([f"the key file {path} cannot be changed: {error.strerror}"]) from None


def _create(path: str | os.PathLike[str]) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(descriptor: int, text: str, *, mode: int, owner: int | None = None) -> None:
    """All of it, on the disk. `owner`: for root, who changes the file of the account that the broker runs under."""
    with os.fdopen(descriptor, "w", encoding="utf-8", errors=AS_IT_IS) as file:
        os.fchmod(descriptor, mode)
        if owner not in (None, os.fstat(descriptor).st_uid):
            os.fchown(descriptor, owner, -1)
        file.write(text)
        file.flush()
        os.fsync(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    """Without it a power cut can take the new file's name away, and with it all that the key seals."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
