"""One connector on one connection, in words: what it may read, since when, what for, and what it read."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from broker import scopes
from broker.connections.assets import opened
from broker.connections.read import missing_scopes
from broker.consent import named
from broker.models import Connection, Grant
from broker.portal.names import connector_title, provider_title
from broker.portal.readings import Readings
from broker.portal.texts import TEXTS, day, local
from broker.runtime import Broker


@dataclass(frozen=True)
class ShownGrant:
    connector: str
    title: str
    reads: str
    closed: str | None
    assets: str | None
    since: str
    purpose: str | None
    readings: Readings


def shown_grant(
    broker: Broker, session: Session, row: Connection, grant: Grant, readings: Readings, locale: str
) -> ShownGrant:
    """Raises `Undecryptable` where the connection was shredded meanwhile."""
    texts = TEXTS[locale]
    reads, closed = _fields(broker, row, grant, locale)
    return ShownGrant(
        connector=grant.connector,
        title=connector_title(broker, grant.connector, locale),
        reads=reads,
        closed=closed,
        assets=_assets(broker, session, row, grant, locale),
        since=texts["since"].format(day=day(local(grant.granted_at, locale), locale)),
        purpose=texts["purpose"].format(purpose=grant.purpose) if grant.purpose else None,
        readings=readings,
    )


def _fields(broker: Broker, row: Connection, grant: Grant, locale: str) -> tuple[str, str | None]:
    """What the consent page named and the provider opens, in the words of that page; and what it named in vain."""
    texts, title = TEXTS[locale], provider_title(broker, row.provider)
    given = _opened(broker, row, grant, locale)
    reads = ", ".join(name for name, is_open in given.items() if is_open)
    closed = ", ".join(name for name, is_open in given.items() if not is_open)
    if not reads or missing_scopes(broker, row, grant.scopes, grant.connector):
        return texts["reads_nothing"].format(provider=title), None
    return texts["reads"].format(fields=reads), texts["closed"].format(
        provider=title, fields=closed
    ) if closed else None


def _opened(broker: Broker, row: Connection, grant: Grant, locale: str) -> dict[str, bool]:
    """Each field's name for people, and whether the provider and the grant open it; one of several alike suffices."""
    provider, found = broker.providers.get(row.provider), dict[str, bool]()
    effective = scopes.effective(row.granted_scopes, grant.scopes)
    for name, fields in grant.fields.items():
        resource = provider.resources.get(name) if provider else None
        if resource is None:
            continue
        for field in fields:
            label = named((field,), resource, locale)
            found[label] = found.get(label, False) or scopes.opened(field, resource.fields, effective)
    return found


def _assets(broker: Broker, session: Session, row: Connection, grant: Grant, locale: str) -> str | None:
    if grant.assets is None:
        return None
    chosen = opened(broker, session, row, grant).chosen
    if not chosen:
        return TEXTS[locale]["no_asset"]
    return TEXTS[locale]["only_from"].format(assets=", ".join(asset.label for asset in chosen))
