"""What a database and a log hold, as somebody who stole them sees it."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from broker.db import Base
from tests.house import House


def rows(house: House) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, but for the callers' access tokens, of which each test makes some."""
    with house.broker.database.read() as session:
        return {
            table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))]
            for table in sorted(Base.metadata.tables)
            if table != "access_tokens"
        }


def forms(secret: str) -> set[bytes]:
    """A secret in clear and in the encodings that a search by eye would miss."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), raw.hex().encode(), raw[::-1]}
    for before in range(3):
        # Base64 of a text depends on where in its neighbourhood it begins; the first and last digits are mixed ones.
        encoded = base64.b64encode(b"\0" * before + raw)[4 if before else 0 : -4]
        found |= {encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def holds(house: House, secret: str) -> bool:
    """Whether any row, or a SQLite file as it lies on the disk, holds the secret in any of its forms."""
    haystack = [b"".join(map(_octets, row)) for table in rows(house).values() for row in table]
    url = house.environ["BROKER_DATABASE_URL"]
    if url.startswith("sqlite:///"):
        database = Path(url.removeprefix("sqlite:///"))
        haystack += [file.read_bytes() for file in database.parent.glob(database.name + "*")]
    return any(form in held for form in forms(secret) for held in haystack)


def logged(caplog: pytest.LogCaptureFixture, secret: str) -> bool:
    """Whether any record of the test so far holds the secret, in its text or in what was sent along with it."""
    held = "\n".join(f"{record.getMessage()}\n{record.__dict__}" for record in caplog.records).encode()
    return any(form in held for form in forms(secret))


def _octets(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
