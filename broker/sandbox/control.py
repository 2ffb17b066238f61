"""How a test steers the sandbox and looks inside: `/_sandbox/…`. Not a part of what it plays, and open to whoever asks.

It shows live tokens in full, so that a test can prove that none lives on. Bodies are JSON objects.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from broker.sandbox import quirks
from broker.sandbox.grants import by_value
from broker.sandbox.listing import Record
from broker.sandbox.seed import Account, sourced
from broker.sandbox.state import google

CONTROL = Blueprint("control", __name__, url_prefix="/_sandbox")


@CONTROL.errorhandler(quirks.BadQuirk)
def _bad_quirk(error: quirks.BadQuirk) -> tuple[Response, int]:
    return jsonify(error=str(error), known={name: known.meaning for name, known in quirks.KNOWN.items()}), 400


@CONTROL.errorhandler(400)
@CONTROL.errorhandler(404)
@CONTROL.errorhandler(415)
def _bad(error: Any) -> tuple[Response, int]:  # noqa: ANN401 - Flask gives any HTTPException
    return jsonify(error=error.description), error.code


def _body() -> dict[str, Any]:
    """A JSON object under that content type: a page of another site cannot send it."""
    body = request.get_json()
    return body if isinstance(body, dict) else abort(400, "send a JSON object")


@CONTROL.get("/state")
def state() -> Response:
    """{"accounts", "authorizations", "live_tokens": {"access", "refresh"}, "counts", "codes", "requests", "quirks"}."""
    fake = google()
    with fake.lock:
        now = fake.clock()
        access, refresh = (by_value(tokens, now) for tokens in (fake.grants.access, fake.grants.refresh))
        return jsonify(
            accounts=[{"sub": a.sub, "email": a.email, "name": a.name} for a in fake.accounts.values()],
            authorizations=[
                {"project": project, "account": account, "scopes": sorted(scopes)}
                for (project, account), scopes in fake.grants.authorizations.items()
            ],
            live_tokens={"access": access, "refresh": refresh},
            counts={"access": len(access), "refresh": len(refresh)},
            codes=[code.value for code in fake.grants.codes.values() if code.expires_at > now],
            requests=list(fake.requests),
            quirks=fake.quirks.all(),
        )


@CONTROL.post("/quirks")
def set_quirks() -> Response:
    """Merge; a quirk is switched off with null or false. Answers with all that are on."""
    return jsonify(google().quirks.merge(_body()))


@CONTROL.get("/quirks")
def known_quirks() -> Response:
    return jsonify(on=google().quirks.all(), known={name: known.meaning for name, known in quirks.KNOWN.items()})


@CONTROL.delete("/quirks")
def reset_quirks() -> Response:
    """Back to the quirks of the start."""
    return jsonify(google().quirks.reset())


@CONTROL.post("/reset")
def reset() -> Response:
    """Everything as at the start, the log too; the signing keys stay."""
    google().reset()
    return jsonify({})


@CONTROL.post("/revoke")
def revoke() -> Response:
    """{"account"}: the user removes every app's access at Google."""
    with google().lock:
        return jsonify(ended=google().grants.end_account(_account().sub))


@CONTROL.post("/rotate-keys")
def rotate_keys() -> Response:
    """A new key signs from now on; the oldest is no longer published."""
    with google().lock:
        google().keys.rotate()
    return jsonify({})


@CONTROL.post("/contacts")
def change() -> Response:
    """Add, change or delete one record of an account.

    {"account": sub or address, and one of "contact": {"resourceName"?, …People fields} and
    "event": {"id"?, …Calendar fields} with "calendar"? (`primary`), "delete"?: true} → {"id"}. Fields not named stay.
    """
    body = _body()
    with google().lock:
        if isinstance(body.get("contact"), dict):
            return jsonify(id=_change_contact(_account(), body["contact"], delete=body.get("delete") is True))
        if isinstance(body.get("event"), dict):
            return jsonify(id=_change_event(_account(), body, delete=body.get("delete") is True))
    return abort(400, "name a contact or an event")


def _account() -> Account:
    return google().account(_body().get("account")) or abort(404, "there is no such account in the sandbox")


def _change_contact(account: Account, fields: Record, *, delete: bool) -> str:
    contacts = account.contacts
    name: str = fields.get("resourceName") or f"people/c{len(contacts.items) + 1}"
    if delete:
        return name if contacts.delete(name) else abort(404, "there is no such contact")
    source_id = f"{int(name.removeprefix('people/c')):x}" if name.removeprefix("people/c").isdigit() else name
    kept = contacts.items[name].record if name in contacts.items else {}
    given = {key: _with_sources(value, source_id) for key, value in fields.items() if key != "metadata"}
    source = {"type": "CONTACT", "id": source_id, "updateTime": _now()}
    metadata = {"sources": [source], "objectType": "PERSON"}
    contacts.put(name, {**kept, **given, "resourceName": name, "metadata": metadata})
    return name


def _with_sources(values: Any, source_id: str) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(values, list):
        return values
    return [v if "metadata" in v else sourced(v, "CONTACT", source_id, primary=i == 0) for i, v in enumerate(values)]


def _change_event(account: Account, body: Record, *, delete: bool) -> str:
    calendar = account.calendar(body.get("calendar", "primary")) or abort(404, "there is no such calendar")
    fields, events = body["event"], calendar.events
    event_id: str = fields.get("id") or f"added{events.version + 1}"
    if delete:
        return event_id if events.delete(event_id) else abort(404, "there is no such event")
    kept = events.items[event_id].record if event_id in events.items else {"status": "confirmed"}
    if not (fields.keys() | kept.keys()) >= {"start", "end"}:
        abort(400, "an event needs start and end")
    events.put(event_id, {"kind": "calendar#event", **kept, **fields, "id": event_id, "updated": _now()})
    return event_id


def _now() -> str:
    return datetime.fromtimestamp(google().clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
