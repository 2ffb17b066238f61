"""A tenant's own provider apps: registrations at a provider that one tenant alone uses, their secrets sealed.

The app that all tenants share stands in the settings. One of a tenant's own has its own callback path and hooks, is
verified with its own secret only, and shares no authorization with anybody (design decision 5).
"""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker import audit
from broker.config import ProviderApp
from broker.db import Database, insert_if_missing
from broker.errors import InvalidRequest, NotFound, ProviderUnavailable
from broker.models import OwnProviderApp
from broker.secret import Secret, fresh_id
from broker.vault import Undecryptable, Vault

COLUMN = "client_secret"


class AppRemoved(ProviderUnavailable):
    """The tenant's own app is gone for good, and its secret with it: no waiting brings it back."""

    def __init__(self) -> None:
        super().__init__("The tenant's own provider app was removed.", retryable=False, sent=False)


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
    secret_options: Mapping[str, Secret],
) -> str:
    """Register; gives the id that stands in its callback path. The values were checked.

    Raises `InvalidRequest` where the tenant has one at this provider, or another tenant's has this client id: two apps
    here that are one there would end each other's authorizations.
    """
    app_id = fresh_id("app")
    named = {"tenant": tenant, "provider": provider, "live": True}
    kept = {"client_id": client_id, "options": dict(options), "secret_version": 1, "created_at": now}
    with database.write() as session:
        _refuse_twice(session, tenant, provider, client_id)
        if not insert_if_missing(session, OwnProviderApp, named, {**kept, "id": app_id}):
            raise _taken()
        vault.new_key(session, tenant=tenant, connection=_key(app_id))
        row = _own(session, app_id)
        row.client_secret = _sealed(vault, session, row, client_secret, secret_options)
        audit.note(session, "provider_app.added", tenant=tenant, actor="operator", app=app_id, provider=provider)
    return app_id


def change_secret(database: Database, vault: Vault, app_id: str, client_secret: Secret) -> None:
    """From now on this secret, for flows that are under way too. Raises `NotFound`."""
    with database.write() as session:
        row = _own(session, app_id)
        kept = _opened(vault, session, row)[1]
        row.secret_version += 1
        row.client_secret = _sealed(vault, session, row, client_secret, kept)
        audit.note(session, "provider_app.changed", tenant=row.tenant, actor="operator", app=row.id)


def remove(database: Database, vault: Vault, now: datetime, app_id: str) -> None:
    """Forget the secret: its connections give no data any more, and the provider is told nothing any more.

    `broker.connections.appless.end_use` then ends what is in use. Nothing where it was removed before. Raises
    `NotFound`.
    """
    with database.write() as session:
        row = session.get(OwnProviderApp, app_id, with_for_update=True)
        if row is None:
            raise _unknown()
        if row.live:
            row.live, row.removed_at, row.client_secret = None, now, None
            vault.shred(session, tenant=row.tenant, connection=_key(row.id))
            audit.note(session, "provider_app.removed", tenant=row.tenant, actor="operator", app=row.id)


def require_live(session: Session, app_id: str) -> None:
    """Until the end of the transaction the app is not removed, if it is a tenant's own. Raises `AppRemoved`."""
    row = session.get(OwnProviderApp, app_id, with_for_update={"read": True})
    if row and not row.live:
        raise AppRemoved


def is_live(session: Session, app_id: str) -> bool:
    row = session.get(OwnProviderApp, app_id)
    return bool(row and row.live)


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


def providers_of(database: Database, tenants: Collection[str] | None) -> frozenset[str]:
    """Where one of these tenants has an app of its own; None: any tenant."""
    query = select(OwnProviderApp.provider).where(OwnProviderApp.live.is_(True)).distinct()
    if tenants is not None:
        query = query.where(OwnProviderApp.tenant.in_(sorted(tenants)))
    with database.read() as session:
        return frozenset(session.scalars(query))


def opened(database: Database, vault: Vault, app_id: str) -> ProviderApp | None:
    """The app with its secrets opened; None where there never was one. Raises `AppRemoved`, `Undecryptable`."""
    with database.read() as session:
        row = session.get(OwnProviderApp, app_id)
        if row is None:
            return None
        if not row.live:
            raise AppRemoved
        try:
            client_secret, secret_options = _opened(vault, session, row)
        except Undecryptable:
            session.refresh(row)
            if not row.live:  # between the two readings
                raise AppRemoved from None
            raise
    revealed = {name: value.reveal() for name, value in secret_options.items()}
    return ProviderApp(
        id=row.id,
        provider=row.provider,
        client_id=row.client_id,
        client_secret=client_secret,
        tenant=row.tenant,
        options={**row.options, **revealed},
    )


def _live(session: Session, tenant: str, provider: str) -> OwnProviderApp | None:
    query = select(OwnProviderApp).where(
        OwnProviderApp.tenant == tenant, OwnProviderApp.provider == provider, OwnProviderApp.live.is_(True)
    )
    return session.scalar(query)


def _refuse_twice(session: Session, tenant: str, provider: str, client_id: str) -> None:
    if _live(session, tenant, provider):
        raise _taken()
    same = select(OwnProviderApp.id).where(
        OwnProviderApp.provider == provider, OwnProviderApp.client_id == client_id, OwnProviderApp.live.is_(True)
    )
    if session.scalar(same.limit(1)):
        raise InvalidRequest("Another tenant's app has this client id: each needs a registration of its own.")


def _own(session: Session, app_id: str) -> OwnProviderApp:
    row = session.get(OwnProviderApp, app_id, with_for_update=True)
    if row is None or not row.live:
        raise _unknown()
    return row


def _sealed(
    vault: Vault, session: Session, row: OwnProviderApp, client_secret: Secret, options: Mapping[str, Secret]
) -> bytes:
    kept = {
        "client_secret": client_secret.reveal(),
        "options": {name: option.reveal() for name, option in options.items()},
    }
    return vault.seal(
        session,
        tenant=row.tenant,
        connection=_key(row.id),
        column=COLUMN,
        version=row.secret_version,
        plaintext=json.dumps(kept).encode(),
    )


def _opened(vault: Vault, session: Session, row: OwnProviderApp) -> tuple[Secret, dict[str, Secret]]:
    """The client secret, and the options that are secret."""
    plaintext = vault.open(
        session,
        tenant=row.tenant,
        connection=_key(row.id),
        column=COLUMN,
        version=row.secret_version,
        blob=row.client_secret,
    )
    kept = json.loads(plaintext)
    return Secret(kept["client_secret"]), {name: Secret(value) for name, value in kept["options"].items()}


def _key(app_id: str) -> str:
    return f"app:{app_id}"


def _taken() -> InvalidRequest:
    return InvalidRequest("The tenant has an app of its own at this provider already: change its secret, or remove it.")


def _unknown() -> NotFound:
    return NotFound("There is no such provider app.")
