"""A tenant's own provider apps: registrations at a provider that one tenant alone uses, their secrets sealed.

The app that all tenants share stands in the settings. One of a tenant's own has its own callback path and hooks, is
verified with its own secret only, and shares no authorization with anybody (design decision 5).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from broker import audit
from broker.config import ProviderApp
from broker.db import Database
from broker.errors import InvalidRequest, NotFound
from broker.models import OwnProviderApp
from broker.secret import Secret, fresh_id
from broker.vault import Vault

COLUMN = "client_secret"


def add(
    database: Database,
    vault: Vault,
    now: datetime,
    *,
    provider: str,
    tenant: str,
    client_id: str,
    client_secret: Secret,
    options: Mapping[str, str],
) -> str:
    """Register; gives the id that stands in its callback path. Raises `InvalidRequest` where the tenant has one."""
    row = OwnProviderApp(
        id=fresh_id("app"),
        provider=provider,
        tenant=tenant,
        live=True,
        client_id=client_id,
        secret_version=1,
        options=dict(options),
        created_at=now,
    )
    try:
        with database.write() as session:
            if _live(session, tenant, provider):
                raise _taken()
            vault.new_key(session, tenant=tenant, connection=_key(row.id))
            row.client_secret = _sealed(vault, session, row, client_secret)
            session.add(row)
            audit.note(session, "provider_app.added", tenant=tenant, actor="operator", app=row.id, provider=provider)
            session.flush()
            return row.id
    except IntegrityError:
        raise _taken() from None


def change_secret(database: Database, vault: Vault, app_id: str, client_secret: Secret) -> None:
    """From now on this secret. Raises `NotFound`."""
    with database.write() as session:
        row = _own(session, app_id)
        row.secret_version += 1
        row.client_secret = _sealed(vault, session, row, client_secret)
        audit.note(session, "provider_app.changed", tenant=row.tenant, actor="operator", app=row.id)


def remove(database: Database, vault: Vault, now: datetime, app_id: str) -> None:
    """Forget the secret: its connections give no data any more, and what is owed to the provider waits in vain.

    Raises `NotFound`.
    """
    with database.write() as session:
        row = _own(session, app_id)
        row.live, row.removed_at, row.client_secret = None, now, None
        vault.shred(session, tenant=row.tenant, connection=_key(row.id))
        audit.note(session, "provider_app.removed", tenant=row.tenant, actor="operator", app=row.id)


def listed(database: Database) -> list[dict[str, Any]]:
    """Every app that was not removed; no secret among it."""
    with database.read() as session:
        query = select(OwnProviderApp).where(OwnProviderApp.live.is_(True)).order_by(OwnProviderApp.id)
        return [
            {
                "id": row.id,
                "provider": row.provider,
                "tenant": row.tenant,
                "client_id": row.client_id,
                "options": row.options,
                "created_at": row.created_at.isoformat(),
            }
            for row in session.scalars(query)
        ]


def own_id(database: Database, tenant: str, provider: str) -> str | None:
    """The id of the tenant's own app at a provider, if it has one."""
    with database.read() as session:
        row = _live(session, tenant, provider)
        return row.id if row else None


def any_at(database: Database, provider: str) -> bool:
    """Whether some tenant has an app of its own at a provider."""
    query = select(OwnProviderApp.id).where(OwnProviderApp.provider == provider, OwnProviderApp.live.is_(True))
    with database.read() as session:
        return session.scalar(query.limit(1)) is not None


def opened(database: Database, vault: Vault, app_id: str) -> ProviderApp | None:
    """The app with its secret opened; None where there is none, or it was removed. Raises `Undecryptable`."""
    with database.read() as session:
        row = session.get(OwnProviderApp, app_id)
        if row is None or not row.live:
            return None
        plaintext = vault.open(
            session,
            tenant=row.tenant,
            connection=_key(row.id),
            column=COLUMN,
            version=row.secret_version,
            blob=row.client_secret,
        )
    return ProviderApp(
        id=row.id,
        provider=row.provider,
        client_id=row.client_id,
        client_secret=Secret(plaintext.decode()),
        tenant=row.tenant,
        options=row.options,
    )


def _live(session: Session, tenant: str, provider: str) -> OwnProviderApp | None:
    query = select(OwnProviderApp).where(
        OwnProviderApp.tenant == tenant, OwnProviderApp.provider == provider, OwnProviderApp.live.is_(True)
    )
    return session.scalar(query)


def _own(session: Session, app_id: str) -> OwnProviderApp:
    row = session.get(OwnProviderApp, app_id, with_for_update=True)
    if row is None or not row.live:
        raise NotFound("There is no such provider app.")
    return row


def _sealed(vault: Vault, session: Session, row: OwnProviderApp, client_secret: Secret) -> bytes:
    return vault.seal(
        session,
        tenant=row.tenant,
        connection=_key(row.id),
        column=COLUMN,
        version=row.secret_version,
        plaintext=client_secret.reveal().encode(),
    )


def _key(app_id: str) -> str:
    return f"app:{app_id}"


def _taken() -> InvalidRequest:
    return InvalidRequest("The tenant has an app of its own at this provider already: change its secret, or remove it.")
