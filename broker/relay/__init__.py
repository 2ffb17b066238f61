"""The relay: a reading in the provider's own form, for client libraries that speak to the provider (contract §4).

    raw target ─► one declared operation ─► parameters held to those that the broker itself would send
        ─► right read again ─► cut ─► the provider's envelope, without tokens

A caller's URL is matched as it stands and then thrown away: what goes out is built from the operation.
"""

from broker.relay.serve import Relayed, prefix, relayed
from broker.relay.target import Asked, read

__all__ = ["Asked", "Relayed", "prefix", "read", "relayed"]
