"""One call to the provider for the relay, under the same rules as the broker's own readings: the pauses in force, the
right token, a decision on the state that it was read from, and what an error answer means."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from broker import pauses
from broker.connections import derived, refresh, reread
from broker.connections.use import Standing
from broker.errors import InvalidRequest, NotFound, ProviderUnavailable
from broker.providers.base import Verdict
from broker.providers.line import Line
from broker.providers.resource import Place
from broker.reading import Reading, failure, judged, refused_for_scope
from broker.relay.prepared import Call
from broker.runtime import Broker
from broker.secret import Secret
from broker.upstream import Answer, TokenRefused

Make = Callable[[Standing], Call]
"""The call as the state of its right allows it."""


@dataclass(frozen=True)
class Answered:
    """A good answer, what was asked, and the token that it was asked with, which must not be passed on."""

    call: Call
    body: dict[str, Any]
    bearer: Secret


def answered(broker: Broker, standing: Standing, make: Make, until: float) -> Answered:
    """Ask, with a renewed token once where the first one is refused. Raises the errors of contract §2."""
    refused: int | None = None
    because: TokenRefused | None = None
    while True:
        token = refresh.access_token(broker, standing, until=until, refused=refused, because=because)
        call = make(token.standing)
        connection, api = token.standing.connection, call.operation.origin
        line = broker.line(connection.app_id)
        pauses.check(broker, connection, api, line.app.options)
        answer, bearer = _sent(broker, call, token, line, until)
        if isinstance(answer, Answer) and answer.status == 200:
            pauses.heed(broker, connection, api, call.decision.provider.usage(answer))
            return Answered(call, _object(answer), bearer)
        verdict = judged(call.decision.provider, answer)
        if verdict.kind == "gone":
            verdict = Verdict(call.decision.resource.not_found)
        if verdict.kind == "token" and refused is None:
            refused, because = token.version, verdict.refusal
            derived.forget(broker, token)
            continue
        if verdict.kind in ("rate", "blocked"):
            pauses.put(broker, connection, api, verdict)
        raise _failure(broker, standing, token, call, verdict, answer, until)


def _sent(
    broker: Broker, call: Call, token: refresh.Token, line: Line, until: float
) -> tuple[Answer | TokenRefused, Secret]:
    """The URL is the operation's own; nothing of the caller's request but checked values is in it, and no header."""
    provider, operation = call.decision.provider, call.operation
    try:
        bearer = derived.bearer(broker, line, provider, operation, token, call.decision.asset)
    except TokenRefused as refusal:
        return refusal, token.value
    url = provider.signed(line, operation.url(call.values), bearer)
    sent = None if call.body is None else json.dumps(call.body).encode()
    left = max(until - time.monotonic(), 0.0)
    return line.operate(operation, url, token=bearer, deadline=left, body=sent), bearer


def _object(answer: Answer) -> dict[str, Any]:
    body = answer.json()
    if not isinstance(body, dict):
        raise ProviderUnavailable("The provider's answer is not what its documents promise.")
    return body


def _failure(
    broker: Broker,
    standing: Standing,
    token: refresh.Token,
    call: Call,
    verdict: Verdict,
    answer: Answer | TokenRefused,
    until: float,
) -> Exception:
    """As a reading's, but for what the caller's own parameters may be at fault for."""
    kind, decision = verdict.kind, call.decision
    if kind == "scope" or (kind == "token" and call.operation.is_for_asset):
        of = decision.provider.resources[standing.connector.reads.resource]
        reading = Reading(standing, decision.asset, None, 1, until)
        return refused_for_scope(broker, reading, token, replace(decision, resource=of))
    if kind == "asset" and decision.asset:
        reread.drop_asset(broker, token.standing.connection.id, token.version, decision.asset)
    if kind == "place_lost":
        return InvalidRequest("The provider no longer knows this page or sync token. Begin anew.", status=400)
    if kind == "gone":
        return NotFound("The provider knows nothing of what was asked for.")
    if kind == "refused":
        return InvalidRequest("The provider refused these parameters.", status=400)
    return failure(verdict, answer.status if isinstance(answer, Answer) else 400, Place())
