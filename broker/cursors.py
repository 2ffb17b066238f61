"""Cursors: where a reading stands, sealed. A caller can neither read nor make one, nor use it for another reading."""

import base64
import json
from dataclasses import asdict

from broker.connections.use import Standing
from broker.errors import InvalidRequest
from broker.providers.resource import Place
from broker.runtime import Broker
from broker.vault import Undecryptable

LONGEST = 16_384
FORMAT = 3
"""Of what a cursor holds; a place in another format is not understood, and the reading starts anew."""


def sealed(broker: Broker, standing: Standing, asset: str | None, place: Place) -> str:
    """The cursor of a place. It opens for the same connection, connector and asset alone."""
    row = standing.connection
    with broker.database.read() as session:
        blob = broker.vault.seal(
            session,
            tenant=row.tenant,
            connection=row.id,
            column=_column(standing, asset),
            version=0,
            plaintext=json.dumps({"format": FORMAT, **asdict(place)}).encode(),
        )
    return _encoded(blob)


def opened(broker: Broker, standing: Standing, asset: str | None, cursor: str) -> Place:
    """Raises `InvalidRequest` (400) for a cursor that this reading did not give out."""
    row = standing.connection
    try:
        blob = _decoded(cursor)
        with broker.database.read() as session:
            plaintext = broker.vault.open(
                session, tenant=row.tenant, connection=row.id, column=_column(standing, asset), version=0, blob=blob
            )
    except (ValueError, Undecryptable):
        problem = {"field": "cursor", "problem": "is not one that this reading gave out"}
        raise InvalidRequest(
            "The cursor was changed or belongs to another reading.", status=400, errors=[problem]
        ) from None
    kept = json.loads(plaintext)
    if kept.pop("format") != FORMAT:
        return Place()
    return Place(**{**kept, "fields": tuple(kept["fields"]), "queue": tuple(kept["queue"])})


def _column(standing: Standing, asset: str | None) -> str:
    """Binds a cursor to its connector and asset; the vault binds it to the connection. No connector's name has a
    slash."""
    return f"cursor/{standing.connector.name}/{asset or ''}"


def _encoded(blob: bytes) -> str:
    return base64.urlsafe_b64encode(blob).rstrip(b"=").decode()


def _decoded(cursor: str) -> bytes:
    """Raises `ValueError` for what `_encoded` does not give: base64 has several spellings of the same bytes."""
    if len(cursor) > LONGEST or not cursor.isascii():
        raise ValueError("not a cursor")
    blob = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    if _encoded(blob) != cursor:
        raise ValueError("not a cursor")
    return blob
