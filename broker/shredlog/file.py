"""The log as a file of this host: one line an ending, appended under a lock and on the disk before it counts."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from broker.errors import Unavailable
from broker.shredlog.fault import LogFault
from broker.shredlog.line import LONGEST, START, Line, Mark, checked, last_of, written
from broker.shredlog.store import Ask, added, header

PATIENCE = 10.0
"""Seconds to wait while others append."""
RETRY = 0.002


class FileLog:
    """Any number of processes of one host may append to it."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def begin(self, now: datetime) -> Mark:
        """Make it with its first line unless it is there; the mark behind its last line. Raises `Unavailable`."""
        with _told(), suppress(FileExistsError):
            self.path.parent.mkdir(mode=0o700, parents=True)
        with self._held(os.O_RDWR | os.O_APPEND | os.O_CREAT) as opened:
            if last := _last(opened):
                return last
            text, end = written(START, [header(now)])
            _append(opened, 0, text)
        with _told():
            _sync_folder(self.path.parent)
        return end

    def check_writable(self) -> None:
        """Raises `LogFault`, `Unavailable`."""
        with self._opened(os.O_WRONLY | os.O_APPEND):
            pass

    def after(self, mark: Mark) -> Iterator[Line]:
        """The lines behind a mark. Raises `LogFault` where its line is not there; `Unavailable`."""
        with self._opened(os.O_RDONLY) as opened:
            _require(opened, mark)
            yield from checked(mark, _texts(opened, mark.place))

    def append(self, ask: Ask) -> Mark | None:
        """Append what `ask` says, being asked while nobody else appends; what is there already is left.

        Gives the new end, None where nothing is owed. Raises `PutBack`, `LogFault`, `Unavailable`.
        """
        with self._held(os.O_RDWR | os.O_APPEND) as opened:
            mark, owed = ask()
            if not owed:
                return None
            _require(opened, mark)
            last, entries = added(mark, checked(mark, _texts(opened, mark.place)), owed)
            text, end = written(last, entries)
            _append(opened, last.place, text)
            return end

    def set_aside(self, now: datetime) -> None:
        """Rename it out of the way, where there is one. Raises `Unavailable`."""
        with _told(), suppress(FileNotFoundError):
            self.path.rename(self.path.with_name(f"{self.path.name}.{now:%Y%m%dT%H%M%S}"))

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        try:
            opened = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise LogFault(f"{self.path} is missing") from None
        except OSError as error:
            raise _unavailable(error) from None
        try:
            with _told():
                yield opened
        finally:
            os.close(opened)

    @contextmanager
    def _held(self, flags: int) -> Iterator[int]:
        """Opened, and locked against everybody else's appending until the end of the block."""
        with self._opened(flags) as opened:
            _lock(opened)
            yield opened


def _lock(opened: int) -> None:
    """The lock goes with the file's closing, and with the process."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable("Another process holds the shred log. Repeat the request.") from None
            time.sleep(RETRY)


def _append(opened: int, place: int, text: str) -> None:
    """All of it and on the disk, or none. Behind the last whole line there may be one that a crash has torn: nobody was
    told of that. Nothing to write is synced too: whoever wrote it may have died before."""
    data = text.encode()
    try:
        os.ftruncate(opened, place)
        while data:
            data = data[os.write(opened, data) :]
        os.fsync(opened)
    except OSError:
        with suppress(OSError):
            os.ftruncate(opened, place)
        raise


def _require(opened: int, mark: Mark) -> None:
    """The mark's own line must end there."""
    if mark == START:
        return
    if mark.place > os.fstat(opened).st_size:
        raise LogFault("is shorter than it was")
    if _line_before(opened, mark.place) != mark:
        raise LogFault("is not the one that was written to, or was changed")


def _last(opened: int) -> Mark | None:
    """Behind the last whole line."""
    size = os.fstat(opened).st_size
    whole = os.pread(opened, LONGEST, max(0, size - LONGEST)).rfind(b"\n") + 1
    return _line_before(opened, max(0, size - LONGEST) + whole) if whole else None


def _line_before(opened: int, place: int) -> Mark:
    begin = max(0, place - 2 * LONGEST)
    found = os.pread(opened, place - begin, begin)
    if not found.endswith(b"\n"):
        raise LogFault("is not the one that was written to, or was changed")
    return last_of(found.decode("ascii", "replace").splitlines(), place)


def _texts(opened: int, place: int) -> Iterator[str]:
    """Whole lines from a place on. One that was begun and not ended is not there yet."""
    with os.fdopen(os.dup(opened), "rb") as file:
        file.seek(place)
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line.decode("ascii", "replace")


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from None


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(f"The shred log cannot be written or read ({error.strerror}). Repeat the request.")
