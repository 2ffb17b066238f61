"""Event endpoints: where a client's events go, and the secrets by which it knows that they are ours (contract §7).

A client sees its own endpoints alone; a foreign one answers like one that does not exist.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from broker import audit
from broker.clients import ALL, Caller
from broker.errors import InvalidRequest, NotFound
from broker.events.outbox import DELIVER, TYPES, rfc3339
from broker.models import EventDelivery, EventEndpoint
from broker.owing import owe
from broker.runtime import Broker
from broker.secret import Secret, fresh_id
from broker.upstream import require_deliverable

OVERLAP = timedelta(hours=24)
"""For how long an earlier secret still signs beside the new one."""
EARLIER = 4
"""Earlier secrets that still sign, at most."""
MOST = 20
"""Endpoints of one client."""
TENANT = "*events"
"""No tenant's name: under it the vault keeps the endpoints' keys."""
COLUMN = "secrets"
PREFIX = "whsec_"


@dataclass(frozen=True)
class Page:
    items: list[dict[str, Any]]
    next_cursor: str | None


def register(
    broker: Broker, caller: Caller, *, url: str, tenants: Sequence[str], types: Sequence[str]
) -> dict[str, Any]:
    """A new endpoint, and its secret, shown this once. Raises `InvalidRequest`, `NotFound` for a foreign tenant."""
    require_deliverable(url, development=not broker.settings.production)
    _require_tenants(caller, tenants)
    _require_types(types)
    secret = _fresh_secret()
    with broker.database.write() as session:
        of_client = select(func.count()).where(EventEndpoint.client_id == caller.client_id)
        if (session.scalar(of_client) or 0) >= MOST:
            raise InvalidRequest(f"A client has at most {MOST} event endpoints: remove one before.")
        row = EventEndpoint(
            id=fresh_id("eep"),
            client_id=caller.client_id,
            url=url,
            tenants=sorted(set(tenants)),
            types=sorted(set(types)),
            created_at=broker.clock(),
            secrets_version=0,
        )
        broker.vault.new_key(session, tenant=TENANT, connection=row.id)
        _seal(broker, session, row, {"newest": secret.reveal(), "earlier": []})
        session.add(row)
        _note(session, row, "added", caller.client_id, types=row.types)
    return {**rendered(broker, row, {}), "secret": secret.reveal()}


def listed(broker: Broker, caller: Caller | None, *, limit: int, cursor: str | None) -> Page:
    """A client's endpoints by their ids; without a caller, for the operator, those of all."""
    query = select(EventEndpoint).order_by(EventEndpoint.id).limit(limit + 1)
    query = query.where(EventEndpoint.client_id == caller.client_id) if caller else query
    query = query.where(EventEndpoint.id > cursor) if cursor is not None else query
    with broker.database.read() as session:
        rows = session.scalars(query).all()
        items = [rendered(broker, row, _counts(session, row.id)) for row in rows[:limit]]
    return Page(items, rows[limit - 1].id if len(rows) > limit else None)


def shown(broker: Broker, caller: Caller | None, endpoint_id: str) -> dict[str, Any]:
    """Raises `NotFound`."""
    with broker.database.read() as session:
        return rendered(broker, own(session, caller, endpoint_id), _counts(session, endpoint_id))


def remove(broker: Broker, caller: Caller | None, endpoint_id: str) -> None:
    """With all that was not delivered yet. Raises `NotFound`."""
    with broker.database.write() as session:
        row = own(session, caller, endpoint_id, lock=True)
        broker.vault.shred(session, tenant=TENANT, connection=row.id)
        session.execute(delete(EventDelivery).where(EventDelivery.endpoint_id == row.id))
        session.delete(row)
        _note(session, row, "removed", _actor(caller))


def rotate(broker: Broker, caller: Caller | None, endpoint_id: str) -> dict[str, Any]:
    """A new secret, shown this once; the earlier ones sign beside it for a day. Raises `NotFound`."""
    secret = _fresh_secret()
    with broker.database.write() as session:
        row = own(session, caller, endpoint_id, lock=True)
        now = broker.clock()
        kept = _open(broker, session, row)
        until = (now + OVERLAP).isoformat()
        earlier = [one for one in kept["earlier"] if datetime.fromisoformat(one["until"]) > now]
        newest = {"secret": kept["newest"], "until": until}
        _seal(broker, session, row, {"newest": secret.reveal(), "earlier": [newest, *earlier][:EARLIER]})
        _note(session, row, "secret_rotated", _actor(caller))
    return {"id": endpoint_id, "secret": secret.reveal(), "earlier_sign_until": rfc3339(now + OVERLAP)}


def enable(broker: Broker, caller: Caller | None, endpoint_id: str) -> dict[str, Any]:
    """From now on it is told what happens, and tried at once. Raises `NotFound`."""
    with broker.database.write() as session:
        row = own(session, caller, endpoint_id, lock=True)
        if row.disabled_at:
            _note(session, row, "enabled", _actor(caller))
        row.disabled_at = row.disabled_by = row.paused_until = row.failing_since = None
        row.failures = 0
        now = broker.clock()
        mine = (EventDelivery.endpoint_id == row.id, EventDelivery.state == "pending")
        session.execute(update(EventDelivery).where(*mine).values(due_at=now))
        owe(session, DELIVER, row.id, due_at=now, now=now)
    return shown(broker, caller, endpoint_id)


def disable(broker: Broker, caller: Caller | None, endpoint_id: str) -> dict[str, Any]:
    """It is told nothing more, and what was not delivered counts as failed. Raises `NotFound`."""
    with broker.database.write() as session:
        row = own(session, caller, endpoint_id, lock=True)
        if not row.disabled_at:
            end(session, row, broker.clock(), by="caller" if caller else "operator", actor=_actor(caller))
    return shown(broker, caller, endpoint_id)


def end(session: Session, row: EventEndpoint, now: datetime, *, by: str, actor: str) -> None:
    """Disable it in this transaction."""
    row.disabled_at, row.disabled_by = now, by
    give_up(session, row.id, now, "the endpoint is disabled")
    _note(session, row, "disabled", actor, by=by)


def give_up(session: Session, endpoint_id: str, now: datetime, why: str, *also: Any) -> None:  # noqa: ANN401 - SQL
    """What is pending counts as failed; it can be replayed. `also`: conditions."""
    pending = (EventDelivery.endpoint_id == endpoint_id, EventDelivery.state == "pending", *also)
    values = {"state": "failed", "settled_at": now, "last_error": func.coalesce(EventDelivery.last_error, why)}
    session.execute(update(EventDelivery).where(*pending).values(values).execution_options(synchronize_session=False))


def own(session: Session, caller: Caller | None, endpoint_id: str, *, lock: bool = False) -> EventEndpoint:
    """The caller's endpoint; without a caller, for the operator, anybody's. Raises `NotFound`."""
    row = session.get(EventEndpoint, endpoint_id, with_for_update={"key_share": True} if lock else None)
    if row is None or (caller is not None and row.client_id != caller.client_id):
        raise NotFound
    return row


def signing_secrets(broker: Broker, session: Session, row: EventEndpoint) -> list[Secret]:
    """Those that sign now, the newest first."""
    kept, now = _open(broker, session, row), broker.clock()
    earlier = [one["secret"] for one in kept["earlier"] if datetime.fromisoformat(one["until"]) > now]
    return [Secret(text) for text in (kept["newest"], *earlier)]


def rendered(broker: Broker, row: EventEndpoint, counts: dict[str, int]) -> dict[str, Any]:
    """An endpoint as its client sees it; its secret is never shown again."""
    paused = row.paused_until if row.paused_until and row.paused_until > broker.clock() else None
    return {
        "id": row.id,
        "url": row.url,
        "tenants": row.tenants,
        "types": row.types,
        "state": "disabled" if row.disabled_at else "failing" if row.failing_since else "enabled",
        "disabled_by": row.disabled_by,
        "failing_since": rfc3339(row.failing_since),
        "next_try_at": rfc3339(paused),
        "pending": counts.get("pending", 0),
        "failed": counts.get("failed", 0),
        "created_at": rfc3339(row.created_at),
    }


def _counts(session: Session, endpoint_id: str) -> dict[str, int]:
    query = select(EventDelivery.state, func.count()).where(EventDelivery.endpoint_id == endpoint_id)
    return {state: count for state, count in session.execute(query.group_by(EventDelivery.state))}


def _require_tenants(caller: Caller, tenants: Sequence[str]) -> None:
    """`*` is all of the client's own, now and later."""
    if not tenants or (ALL in tenants and len(tenants) > 1):
        raise InvalidRequest("tenants: name them, or * alone.", errors=[{"field": "tenants", "problem": "is empty"}])
    for tenant in tenants:
        if tenant != ALL:
            caller.require_tenant(tenant)


def _require_types(types: Sequence[str]) -> None:
    unknown = [name for name in types if name != ALL and name not in TYPES]
    if not types or unknown or (ALL in types and len(types) > 1):
        problem = {"field": "types", "problem": f"* alone, or any of {', '.join(TYPES)}"}
        raise InvalidRequest("types: name some that there are.", errors=[problem])


def _fresh_secret() -> Secret:
    """256 bits in the form of Standard Webhooks."""
    return Secret(PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())


def _seal(broker: Broker, session: Session, row: EventEndpoint, kept: dict[str, Any]) -> None:
    row.secrets_version += 1
    row.secrets = broker.vault.seal(
        session,
        tenant=TENANT,
        connection=row.id,
        column=COLUMN,
        version=row.secrets_version,
        plaintext=json.dumps(kept).encode(),
    )


def _open(broker: Broker, session: Session, row: EventEndpoint) -> dict[str, Any]:
    plaintext = broker.vault.open(
        session, tenant=TENANT, connection=row.id, column=COLUMN, version=row.secrets_version, blob=row.secrets
    )
    kept: dict[str, Any] = json.loads(plaintext)
    return kept


def _actor(caller: Caller | None) -> str:
    return caller.client_id if caller else "operator"


def _note(session: Session, row: EventEndpoint, what: str, actor: str, **detail: Any) -> None:  # noqa: ANN401
    audit.note(session, f"event_endpoint.{what}", actor=actor, endpoint=row.id, client=row.client_id, **detail)
