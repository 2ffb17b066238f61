"""The only way out, to providers and to event endpoints: nothing else imports requests, requests_oauthlib, oauthlib or
urllib3.

What holds for every request, data call and OAuth flow alike: the URL's origin is pinned, the bytes of its
path and query go out as given, one deadline covers name lookup to last byte, bytes are capped before they are
kept, no redirect is followed, nothing is taken from the environment (proxies, netrc, CA bundles, key logs),
and no failure names more than the provider's host.

    answer.py   what came back: strict JSON, Retry-After
    breaker.py  leaving a failing origin alone for a while
    dial.py     names to permitted addresses, TCP, TLS
    request.py  what may leave at all
    wire.py     one exchange on a connection: its time and its bytes
    calls.py    a request under pins, caps and deadline
    tokens.py   judging what a token endpoint answered
    flows.py    authorize, exchange, refresh, revoke, by requests-oauthlib over the same calls
    delivery.py events to addresses that callers named
"""

from broker.upstream.answer import Answer, retry_after
from broker.upstream.delivery import Delivery, require_deliverable
from broker.upstream.flows import Upstream
from broker.upstream.tokens import Departure, TokenAnswer, TokenRefused

__all__ = [
    "Answer",
    "Delivery",
    "Departure",
    "TokenAnswer",
    "TokenRefused",
    "Upstream",
    "require_deliverable",
    "retry_after",
]
