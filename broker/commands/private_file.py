"""A file with a secret in it, named by an option."""

import os
import stat
import sys
from pathlib import Path

import click

from broker.errors import BrokerError

LONGEST = 65_536


def read_private(flag: str, path: str) -> bytes:
    """What stands in it; `-` is standard input. Raises `BrokerError` for a file that others may read, `UsageError` for
    one that cannot be read."""
    if path == "-":
        return sys.stdin.buffer.read(LONGEST)
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise BrokerError(f"{path} is open to others: chmod 600 {path}")
            return file.read(LONGEST)
    except OSError as error:
        raise click.UsageError(f"{flag} {path}: {error.strerror}") from None
