"""Assets: the Pages, calendars or properties that a connector may read, chosen by the user out of what the provider
reported at confirm. A list in the grant, or none; a later choice can only narrow it (design decision 2).

They name people and businesses, so a grant keeps them sealed, under the connection's own key.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy.orm import Session

from broker import scopes
from broker.connections.found import index_assets
from broker.contract import Connector
from broker.errors import BrokerError, ProviderUnavailable
from broker.models import Connection, Grant
from broker.providers.base import Provider
from broker.providers.line import Line
from broker.providers.resource import Place, Resource
from broker.runtime import Broker
from broker.secret import Secret

PAGE, MOST = 250, 1000
"""Assets asked for at once, and taken in all."""


@dataclass(frozen=True)
class Asset:
    id: str
    label: str


@dataclass(frozen=True)
class Assets:
    """Of one grant. `chosen`: None = none yet, and none is read."""

    offered: tuple[Asset, ...] = ()
    """Reported by the provider at confirm: the bound of every choice."""
    chosen: tuple[Asset, ...] | None = None

    def chosen_ids(self) -> list[str]:
        return [asset.id for asset in self.chosen or ()]

    def ids(self) -> set[str]:
        """On offer, or chosen."""
        return {asset.id for asset in (*self.offered, *(self.chosen or ()))}


def reported(
    line: Line,
    provider: Provider,
    connector: Connector,
    token: Secret,
    granted: frozenset[str],
    bounds: Mapping[str, frozenset[str]],
) -> Assets:
    """What there is to choose from, asked of the provider with the token just exchanged, within its own bounds.

    Raises `ProviderUnavailable` where it fails to answer and nothing could be read without a choice.
    """
    resource = provider.resources[connector.reads.resource]
    default = [Asset(resource.default_asset, resource.default_asset)] if resource.default_asset else []
    if connector.choices is None:
        return Assets(offered=tuple(default))
    choices = provider.resources[connector.choices.resource]
    if not all(scopes.opened(name, choices.fields, granted) for name in connector.choices.fields):
        return Assets(offered=tuple(default))
    try:
        listed = _listed(line, provider, choices, connector.choices.fields, token)
    except BrokerError:
        if not default:
            raise
        listed = []
    missing = [asset for asset in default if asset.id not in {found.id for found in listed}]
    bound = provider.bound(resource.asset_kind or "", granted & _scopes(connector, resource), bounds)
    return Assets(offered=tuple(_within(missing + listed, bound)))


def _scopes(connector: Connector, resource: Resource) -> frozenset[str]:
    return frozenset(scopes.needed(connector.reads.fields, resource.fields))


def _within(listed: Sequence[Asset], bound: frozenset[str] | None) -> list[Asset]:
    """A bound may name what the listing left out (docs/facts/meta.md H1); what it does not name is not offered (H2)."""
    if bound is None:
        return list(listed)
    known = {asset.id: asset for asset in listed}
    return [known.get(asset, Asset(asset, asset)) for asset in sorted(bound)]


def narrowed(given: Assets, bound: frozenset[str] | None) -> Assets:
    """What is left of a grant's assets within what the provider now opens: a re-read only takes away."""
    if bound is None:
        return given
    offered = tuple(asset for asset in given.offered if asset.id in bound)
    chosen = None if given.chosen is None else tuple(asset for asset in given.chosen if asset.id in bound)
    return Assets(offered, chosen)


def choose(resource: Resource, given: Assets, asked: Sequence[str] | None) -> tuple[Assets, list[str]]:
    """The choice at confirm, and the ids asked for that the provider does not report."""
    offered = {asset.id: asset for asset in given.offered}
    if asked is None:
        default = offered.get(resource.default_asset) if resource.default_asset else None
        return replace(given, chosen=(default,) if default else None), []
    chosen = tuple(offered[asset] for asset in dict.fromkeys(asked) if asset in offered)
    return replace(given, chosen=chosen or None), [asset for asset in asked if asset not in offered]


def seal(broker: Broker, session: Session, row: Connection, grant: Grant, assets: Assets) -> None:
    grant.assets_version += 1
    grant.assets = broker.vault.seal(
        session,
        tenant=row.tenant,
        connection=row.id,
        column=f"assets/{grant.id}",
        version=grant.assets_version,
        plaintext=json.dumps(asdict(assets)).encode(),
    )
    index_assets(broker, session, row, grant, assets.ids())


def opened(broker: Broker, session: Session, row: Connection, grant: Grant) -> Assets:
    """A grant's assets; none at all once the connection was shredded."""
    if grant.assets is None:
        return Assets()
    plaintext = broker.vault.open(
        session,
        tenant=row.tenant,
        connection=row.id,
        column=f"assets/{grant.id}",
        version=grant.assets_version,
        blob=grant.assets,
    )
    kept = json.loads(plaintext)
    chosen = kept["chosen"]
    return Assets(
        offered=tuple(Asset(**asset) for asset in kept["offered"]),
        chosen=None if chosen is None else tuple(Asset(**asset) for asset in chosen),
    )


def _listed(line: Line, provider: Provider, choices: Resource, fields: Sequence[str], token: Secret) -> list[Asset]:
    """Every page of the listing operation. Raises `ProviderUnavailable`, `Unavailable` where time is up."""
    operation = provider.operation(choices.operation, line.endpoints)
    found: list[Asset] = []
    place: Place | None = Place(fields=tuple(sorted(fields)))
    while place is not None and len(found) < MOST:
        url = operation.url(choices.parameters(sorted(fields), None, place, PAGE))
        answer = line.operate(operation, provider.signed(line, url, token), token=token)
        body = answer.json() if answer.status == 200 else None
        if not isinstance(body, dict):
            raise ProviderUnavailable("The provider did not list what there is to choose from.")
        try:
            listing = choices.listing(body, place)
        except ValueError:
            raise ProviderUnavailable("The provider's answer is not what its documents promise.") from None
        found += [Asset(*pair) for raw in listing.items if (pair := choices.as_asset(raw))]
        place = listing.next if listing.has_more else None
    return found[:MOST]
