"""Connectors that are installed: where each comes from, and whether a provider lists what it reads (docs/adr/0002).

Any package may announce one in the entry-point group `broker.connectors` (docs/adr/0013); none is imported by name.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from broker import providers
from broker.contract import Connector, Reads
from broker.errors import ConfigurationError
from broker.providers.base import Provider
from broker.providers.openid import OpenIDProvider

GROUP = "broker.connectors"
OURS = "integration-broker"
"""The package that the broker comes in."""


@dataclass(frozen=True)
class Installed:
    """One announcement. `connector`: None where it leads to none, and `faults` say why."""

    name: str
    point: EntryPoint
    connector: Connector | None
    faults: tuple[str, ...] = ()

    @cached_property
    def origin(self) -> str:
        """The package that announces it, with its version. Read when it is asked for: a start need not know it."""
        return f"{self.point.dist.name} {self.point.dist.version}" if self.point.dist else "unknown"

    @property
    def is_ours(self) -> bool:
        """It comes with the broker; others may have record types of their own."""
        return self.origin.partition(" ")[0] == OURS


def announced() -> list[Installed]:
    """All that is announced, by name; what a connector reads is not looked at yet."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    names = [point.name for point in points]
    return [_loaded(point, twice=names.count(point.name) > 1) for point in points]


def load_connectors() -> dict[str, Connector]:
    """All installed connectors, ours and others', by name. Raises `ConfigurationError` with every fault."""
    found = announced()
    if faults := [f"Connector {one.name} ({one.origin}): {fault}" for one in found for fault in one.faults]:
        raise ConfigurationError(faults)
    return {one.name: one.connector for one in found if one.connector}


def kinds() -> list[Provider]:
    """What a connector may name as its provider: each that is installed, and one for every OpenID provider."""
    return [*providers.installed().values(), OpenIDProvider("openid")]


def unlisted(connector: Connector, known: Iterable[Provider]) -> list[str]:
    """What of a connector's reading no provider lists, a sentence each. Such a one must not start."""
    known = list(known)
    of_kind = [provider for provider in known if provider.kind == connector.provider]
    if not of_kind:
        return [f"there is no provider {connector.provider}; there are: {_names(one.kind for one in known)}"]
    reads = [reads for reads in (connector.reads, connector.choices) if reads]
    return min(([fault for one in reads for fault in _unlisted(provider, one)] for provider in of_kind), key=len)


def _unlisted(provider: Provider, reads: Reads) -> Iterator[str]:
    resource = provider.resources.get(reads.resource)
    if resource is None:
        yield f"{provider.kind} has no resource {reads.resource}; it has: {_names(readable(provider))}"
        return
    listed = f"{provider.kind} lists no such field of {reads.resource}; it lists: {_names(resource.fields)}"
    yield from (f"it reads {field}, and {listed}" for field in reads.fields if field not in resource.fields)


def readable(provider: Provider) -> list[str]:
    """Names of the resources of which a connector may read something."""
    return sorted(name for name, resource in provider.resources.items() if resource.fields)


def _loaded(point: EntryPoint, *, twice: bool) -> Installed:
    faults = ["another package announces the same name"] if twice else []
    try:
        value = point.load()
    except Exception as error:  # noqa: BLE001 - code of others, run for the first time: anything may come
        return Installed(point.name, point, None, (*faults, f"importing {point.value} fails: {_told(error)}"))
    faults += _wrong(point, value)
    return Installed(point.name, point, value if isinstance(value, Connector) else None, tuple(faults))


def _wrong(point: EntryPoint, value: object) -> Sequence[str]:
    if not isinstance(value, Connector):
        return [f"{point.value} is no Connector of broker.contract"]
    return [] if value.name == point.name else [f"it is announced as {point.name} and calls itself {value.name}"]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"
