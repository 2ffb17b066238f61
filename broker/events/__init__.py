"""Events to the sales app: what changed is told to the endpoints that clients registered (contract §7).

    audit.note(…) or publish(…) ─► before the same commit: one delivery an endpoint, a row ─► a duty ─► the endpoint

`outbox` makes the rows, in the transaction of the change: what was rolled back is never told, what was committed is
told whatever crashes. `endpoints` is who hears what, and the secrets they verify with. `deliver` sends: signed by
Standard Webhooks, at least once, one connection's events in their order, for days. `looked_at` shows and replays.
"""

from broker.events.outbox import DELIVER, TYPES, publish, writer

__all__ = ["DELIVER", "TYPES", "publish", "writer"]
