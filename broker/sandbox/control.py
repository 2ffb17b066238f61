"""How a test steers a fake and looks inside: `/_sandbox/…`. Not a part of what it plays, and open to whoever asks.

| call | does |
|---|---|
| `GET /_sandbox/state` | what the fake holds: accounts, authorizations, live tokens, requests, quirks |
| `GET /_sandbox/requests?path=&method=&since=` | what it was asked: `items` (10,000 kept), `counts` of all, `last` |
| `DELETE /_sandbox/requests` | forgets them |
| `GET /_sandbox/quirks` | which quirks are on, and every one that is known |
| `POST /_sandbox/quirks` `{NAME: value}` | switches on; with null or false off |
| `DELETE /_sandbox/quirks` | back to those of the start |
| `POST /_sandbox/clock` `{"advance": seconds}` | lets time pass at this provider |
| `POST /_sandbox/reset` | everything as at the start; signing keys stay, since others have cached them |

Each provider adds calls of its own in its folder. Bodies are JSON objects under that content type. Live tokens are
shown in full, so that a test can prove that none lives on.
"""

from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from broker.sandbox import quirks
from broker.sandbox.fake import current

CONTROL = Blueprint("control", __name__, url_prefix="/_sandbox")


@CONTROL.app_errorhandler(quirks.BadQuirk)
def _bad_quirk(error: quirks.BadQuirk) -> tuple[Response, int]:
    return jsonify(error=str(error), known=_known()), 400


def refused(error: Any) -> tuple[Response, int]:  # noqa: ANN401 - Flask gives any HTTPException
    """An error of a control call, in JSON; each control blueprint registers it."""
    return jsonify(error=error.description), error.code


for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


def given() -> dict[str, Any]:
    """A JSON object under that content type: a page of another site cannot send it."""
    body = request.get_json()
    return body if isinstance(body, dict) else abort(400, "send a JSON object")


def text(body: dict[str, Any], name: str, otherwise: str) -> str:
    """A text that can be sent on; `otherwise` where it is missing or empty."""
    value = body.get(name) or otherwise
    return value if isinstance(value, str) and _encodes(value) else abort(400, f"{name} is a text")


def _encodes(value: str) -> bool:
    """JSON can name half a character, which nothing else can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def number(body: dict[str, Any], name: str, otherwise: int, *, most: int = 1_000_000) -> int:
    """A whole number from 0 to `most`."""
    value = body.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        abort(400, f"{name} is a whole number from 0 to {most}")
    return value


@CONTROL.get("/state")
def state() -> Response:
    fake = current()
    with fake.lock:
        return jsonify(fake.described() | {"requests": fake.journal.entries(), "quirks": fake.quirks.all()})


@CONTROL.get("/requests")
def requests() -> Response:
    """Those after number `since` whose path begins with `path`; `last` is the number to ask from next time."""
    since = request.args.get("since", 0, type=int)
    journal = current().journal
    with current().lock:
        items = journal.entries(request.args.get("path", ""), request.args.get("method", ""), since)
        return jsonify(items=items, counts=journal.counts(), last=journal.last)


@CONTROL.delete("/requests")
def forget_requests() -> Response:
    current().journal.clear()
    return jsonify({})


@CONTROL.get("/quirks")
def known_quirks() -> Response:
    return jsonify(on=current().quirks.all(), known=_known())


def _known() -> dict[str, dict[str, Any]]:
    return {name: {"meaning": k.meaning, "example": k.example} for name, k in current().quirks.known.items()}


@CONTROL.post("/quirks")
def set_quirks() -> Response:
    """Answers with all that are on."""
    return jsonify(current().quirks.merge(given()))


@CONTROL.delete("/quirks")
def reset_quirks() -> Response:
    return jsonify(current().quirks.reset())


@CONTROL.post("/clock")
def clock() -> Response:
    """Forward only: what has expired stays so."""
    current().advance(number(given(), "advance", 0, most=10 * 366 * 24 * 3600))
    return jsonify(now=current().clock())


@CONTROL.post("/reset")
def reset() -> Response:
    current().reset()
    return jsonify({})
