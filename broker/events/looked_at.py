"""What became of each event, and sending it once more."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from broker import audit
from broker.clients import Caller
from broker.errors import InvalidRequest, NotFound
from broker.events.endpoints import Page, own
from broker.events.outbox import DELIVER, rfc3339
from broker.models import EventDelivery
from broker.owing import owe
from broker.runtime import Broker

STATES = ("pending", "delivered", "failed")


def deliveries(
    broker: Broker, caller: Caller | None, endpoint_id: str | None, *, state: str | None, limit: int, cursor: str | None
) -> Page:
    """An endpoint's deliveries in their order; the operator may leave the endpoint out. Raises `NotFound`,
    `InvalidRequest`."""
    if state is not None and state not in STATES:
        raise InvalidRequest("state: unknown.", errors=[{"field": "state", "problem": f"one of {', '.join(STATES)}"}])
    query = select(EventDelivery).order_by(EventDelivery.seq).limit(limit + 1)
    query = query.where(EventDelivery.state == state) if state is not None else query
    query = query.where(EventDelivery.seq > _place(cursor)) if cursor is not None else query
    with broker.database.read() as session:
        if endpoint_id is not None:
            own(session, caller, endpoint_id)
            query = query.where(EventDelivery.endpoint_id == endpoint_id)
        rows = session.scalars(query).all()
    return Page([_rendered(row) for row in rows[:limit]], str(rows[limit - 1].seq) if len(rows) > limit else None)


def event(broker: Broker, event_id: str) -> dict[str, Any]:
    """For the operator: an event as it is sent, and how it went at each endpoint. Raises `NotFound`."""
    query = select(EventDelivery).where(EventDelivery.event_id == event_id).order_by(EventDelivery.seq)
    with broker.database.read() as session:
        rows = session.scalars(query).all()
    if not rows:
        raise NotFound("There is no such event, or it was delivered long ago.")
    return {
        "id": event_id,
        "body": json.loads(rows[0].body),
        "deliveries": [{"endpoint": row.endpoint_id, **_rendered(row)} for row in rows],
    }


def replay(
    broker: Broker,
    caller: Caller | None,
    endpoint_id: str,
    *,
    event_id: str | None = None,
    since: datetime | None = None,
) -> int:
    """Send one event once more, or all that failed, and say how many. They keep their ids, and go out before what the
    same connection has still waiting. Raises `NotFound`, `InvalidRequest` where the endpoint is disabled.
    """
    with broker.database.write() as session:
        row = own(session, caller, endpoint_id, lock=True)
        if row.disabled_at:
            raise InvalidRequest("The endpoint is disabled: enable it first.")
        mine = [EventDelivery.endpoint_id == row.id]
        mine.append(EventDelivery.state == "failed" if event_id is None else EventDelivery.event_id == event_id)
        if since is not None:
            mine.append(EventDelivery.created_at >= since)
        now = broker.clock()
        anew = {"state": "pending", "attempts": 0, "queued_at": now, "due_at": now, "settled_at": None}
        change = update(EventDelivery).where(*mine).values(anew).returning(EventDelivery.seq)
        count = len(session.connection().execute(change).all())
        if event_id is not None and not count:
            raise NotFound
        if count:
            owe(session, DELIVER, row.id, due_at=now, now=now)
            actor = caller.client_id if caller else "operator"
            audit.note(session, "event_endpoint.replayed", actor=actor, endpoint=row.id, events=count)
    return count


def _place(cursor: str) -> int:
    """Raises `InvalidRequest`."""
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        problem = {"field": "cursor", "problem": "is not one that this listing gave out"}
        raise InvalidRequest("The cursor is not one of this listing.", status=400, errors=[problem])
    return int(cursor)


def _rendered(row: EventDelivery) -> dict[str, Any]:
    return {
        "id": row.event_id,
        "type": row.type,
        "tenant": row.tenant,
        "connection": row.connection,
        "state": row.state,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "created_at": rfc3339(row.created_at),
        "next_try_at": rfc3339(row.due_at) if row.state == "pending" else None,
        "settled_at": rfc3339(row.settled_at),
    }
