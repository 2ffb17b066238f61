"""Ids below an asset: a post, a form, a conversation. An id does not say of what it is one, so it is taken only where
the provider lists it below a granted asset (docs/facts/meta.md §4.4, 7). What was listed is remembered for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from broker.connections.use import Standing
from broker.errors import OperationDenied, ProviderUnavailable
from broker.operations import Operation
from broker.providers.resource import Place
from broker.reading import decide
from broker.relay.exchange import answered
from broker.relay.prepared import FORMS, Call
from broker.runtime import Broker
from broker.scopes import Permitted

CALLS = 10
"""Listings asked for, for one id that is not known: some five hundred ids of several assets."""
REMEMBERED, MOST = 600.0, 50_000
"""Seconds; ids, of all connections of this process."""

Key = tuple[str, str | None, str, str]
"""Grant, asset, listing operation, id."""


class Listed:
    """The ids that were listed of late."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, float] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, keys: Iterable[Key]) -> None:
        until = time.monotonic() + REMEMBERED
        with self._lock:
            for key in keys:
                self._known[key] = until
                self._known.move_to_end(key)
            while len(self._known) > MOST:
                self._known.popitem(last=False)

    def holds(self, key: Key) -> bool:
        with self._lock:
            return self._known.get(key, 0.0) > time.monotonic()


LISTED = Listed()


def proven(broker: Broker, standing: Standing, calls: Sequence[Call], until: float) -> Call:
    """The call below the asset that its id hangs on. Raises `OperationDenied` where it hangs on none that was granted,
    or too far down to be found."""
    for call in calls:
        if LISTED.holds(_key(standing, call)):
            return call
    left = CALLS
    for call in calls:
        place: Place | None = Place()
        while place is not None and left:
            left, place = left - 1, _listed(broker, standing, call, place, until)
            if LISTED.holds(_key(standing, call)):
                return call
    raise OperationDenied("This id is not known to be of what the user granted.")


def _key(standing: Standing, call: Call) -> Key:
    return standing.grant.id, call.decision.asset, _listing(call), str(call.within)


def _listing(call: Call) -> str:
    """The operation that lists what its id may be."""
    (listing,) = set(call.operation.below.values())
    return listing


def _listed(broker: Broker, standing: Standing, call: Call, place: Place, until: float) -> Place | None:
    """One page of the ids below the asset; where the next one begins."""
    parent = call.decision.provider.resources[str(call.decision.resource.parent)]

    def make(current: Standing) -> Call:
        decision = decide(broker, current, call.decision.asset)
        operation: Operation = decision.operations[_listing(call)]
        values = parent.parameters((), decision.asset, place, parent.most)
        above = replace(decision, resource=parent, permitted=Permitted(()))
        return Call(above, "parent", FORMS[operation.id], operation, values, None, None, call.granted)

    found = answered(broker, standing, make, until)
    try:
        listing = parent.listing(found.body, place)
    except ValueError:
        raise ProviderUnavailable("The provider's answer is not what its documents promise.") from None
    ids = [str(raw.get(parent.identity)) for raw in listing.items]
    LISTED.note((standing.grant.id, call.decision.asset, _listing(call), one) for one in ids)
    return listing.next if listing.has_more else None
