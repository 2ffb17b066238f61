"""A connect session's secrets, sealed under a key of its own, and its end, which destroys that key."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from broker import audit
from broker.models import ConnectSession
from broker.runtime import Broker
from broker.secret import Secret


def end_session(broker: Broker, session: Session, row: ConnectSession, status: str, *, actor: str = "broker") -> None:
    """A session that is over keeps no secret: its key is destroyed."""
    noted(session, row, f"session.{status}", actor=actor)
    row.status, row.flow, row.people = status, None, None
    broker.vault.shred(session, tenant=row.tenant, connection=f"session:{row.id}")


def noted(session: Session, row: ConnectSession, action: str, *, actor: str, **detail: Any) -> None:  # noqa: ANN401
    """A change of a connect session, for the audit."""
    audit.note(
        session,
        action,
        tenant=row.tenant,
        actor=actor,
        subject=row.subject,
        connection=row.connection_id,
        session=row.id,
        provider=row.provider,
        **detail,
    )


def seal_flow(broker: Broker, session: Session, row: ConnectSession, flow: dict[str, str]) -> None:
    row.flow_version += 1
    row.flow = broker.vault.seal(
        session,
        tenant=row.tenant,
        connection=f"session:{row.id}",
        column="flow",
        version=row.flow_version,
        plaintext=json.dumps(flow).encode(),
    )


def open_flow(broker: Broker, session: Session, row: ConnectSession) -> dict[str, Secret]:
    plaintext = broker.vault.open(
        session,
        tenant=row.tenant,
        connection=f"session:{row.id}",
        column="flow",
        version=row.flow_version,
        blob=row.flow,
    )
    return {name: Secret(value) for name, value in json.loads(plaintext).items()}


def sealed_people(
    broker: Broker, session: Session, session_id: str, tenant: str, people: Mapping[str, str | None]
) -> bytes:
    """What names a person: the label of the subject, and a hint for the provider."""
    return broker.vault.seal(
        session,
        tenant=tenant,
        connection=f"session:{session_id}",
        column="people",
        version=0,
        plaintext=json.dumps(people).encode(),
    )


def open_people(broker: Broker, session: Session, row: ConnectSession) -> dict[str, str | None]:
    plaintext = broker.vault.open(
        session,
        tenant=row.tenant,
        connection=f"session:{row.id}",
        column="people",
        version=0,
        blob=row.people,
    )
    people: dict[str, str | None] = json.loads(plaintext)
    return people
