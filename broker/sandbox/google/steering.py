"""What a test can do to the fake Google itself, beside the calls that every fake has (broker/sandbox/control.py).

- `POST /_sandbox/revoke` `{"account", "project"?}`: the user removes every app's access, or one project's → `{"ended"}`
- `POST /_sandbox/kill` `{"tokens": "access"|"refresh"|"all", "account"?, "client"?}`: tokens die, the authorization
  stays → `{"killed"}`
- `POST /_sandbox/rotate-keys` `{}`: a new key signs from now on; the oldest is no longer published
- `POST /_sandbox/clients` `{"client_id", "client_secret", "redirect_uris"?, "project"?}`: registers one; from now on
  only registered ones pass
- `POST /_sandbox/accounts` `{"email", "sub"?, "given_name"?, "family_name"?, "hd"?, "contacts"?, "other_contacts"?,
  "events"?, "mails"?, "analytics_accounts"?, "locations"?}`: makes an account, or changes how much one holds →
  `{"accounts"}`
- `POST /_sandbox/accounts` `{"count", …}`: makes so many, `user4@example.com` and on → `{"accounts"}`
- `POST /_sandbox/contacts` `{"account", "contact" or "event", …}`: adds, changes or deletes one record → `{"id"}`

Mail, files and properties: steering_data.py.

`account` is a sub or an address. An account that is to hold N contacts gets those of the seed numbered 1 to N: what
is missing is added and what is beyond is deleted, so that a sync token tells of it.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, jsonify

from broker.sandbox.control import given, number, refused, text
from broker.sandbox.google import seed
from broker.sandbox.google.clients import Client
from broker.sandbox.google.seed import Account, sourced
from broker.sandbox.google.state import google
from broker.sandbox.google.token_store import Token
from broker.sandbox.listing import Collection, Record

CONTROL = Blueprint("steering", __name__, url_prefix="/_sandbox")

for _status in (400, 404, 415):
    CONTROL.register_error_handler(_status, refused)


@CONTROL.post("/revoke")
def revoke() -> Response:
    with google().lock:
        ended = google().grants.end_account(account_named().sub, given().get("project"))
    return jsonify(ended=ended)


@CONTROL.post("/kill")
def kill() -> Response:
    body, grants = given(), google().grants
    kinds = {"access": [grants.access], "refresh": [grants.refresh], "all": [grants.access, grants.refresh]}
    if (kind := text(body, "tokens", "")) not in kinds:
        abort(400, "tokens is access, refresh or all")
    with google().lock:
        account = account_named().sub if "account" in body else None

        def meant(token: Token) -> bool:
            return account in (None, token.account) and body.get("client") in (None, token.client)

        return jsonify(killed=sum(store.drop(meant) for store in kinds[kind]))


@CONTROL.post("/rotate-keys")
def rotate_keys() -> Response:
    given()
    with google().lock:
        google().keys.rotate()
    return jsonify({})


@CONTROL.post("/clients")
def register_client() -> Response:
    body = given()
    client_id, secret, uris = body.get("client_id"), body.get("client_secret"), body.get("redirect_uris", [])
    if not isinstance(client_id, str) or not isinstance(secret, str):
        abort(400, "client_id and client_secret are texts")
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        abort(400, "redirect_uris is a list of texts")
    with google().lock:
        google().clients.register(client_id, Client(secret, tuple(uris)), body.get("project"))
    return jsonify({})


@CONTROL.post("/accounts")
def make_accounts() -> Response:
    body = given()
    with google().lock:
        if "count" in body:
            first = len(google().accounts) + 1
            made = [_filled(_named_by_number(first + n, body), body) for n in range(number(body, "count", 0))]
        else:
            made = [_filled(_found_or_made(body), body)]
        return jsonify(accounts=[{"sub": account.sub, "email": account.email} for account in made])


def _named_by_number(place: int, body: Record) -> Account:
    return _found_or_made({**body, "email": f"user{place}@example.com", "sub": None})


def _found_or_made(body: Record) -> Account:
    email = body.get("email")
    if found := google().account(body.get("sub") or email):
        return found
    if not isinstance(email, str) or "@" not in email:
        abort(400, "email is an address")
    given_name, family_name = seed.names_for(email)
    account = Account(
        sub=str(body.get("sub") or seed.sub_for(email)),
        email=email,
        given_name=str(body.get("given_name") or given_name),
        family_name=str(body.get("family_name") or family_name),
        hd=body.get("hd"),
    )
    seed.add_calendars(account)
    google().add(account)
    return account


def _filled(account: Account, body: Record) -> Account:
    for name, fill in seed.FILL.items():
        if name in body:
            fill(account, number(body, name, 0))
    return account


@CONTROL.post("/contacts")
def change() -> Response:
    """Add, change or delete one record of an account.

    {"account", and one of "contact": {"resourceName"?, …People fields} with "renamed_from"? (its former resource name)
    and "event": {"id"?, …Calendar fields} with "calendar"? (`primary`), "delete"?: true}. Fields not named stay.
    """
    body = given()
    with google().lock:
        if isinstance(body.get("contact"), dict):
            return jsonify(id=_change_contact(account_named().contacts, body))
        if isinstance(body.get("event"), dict):
            return jsonify(id=_change_event(account_named(), body))
    return abort(400, "name a contact or an event")


def account_named() -> Account:
    """That of the body. Aborts with 404."""
    return google().account(given().get("account")) or abort(404, "there is no such account in the sandbox")


def _change_contact(contacts: Collection, body: Record) -> str:
    fields, former = body["contact"], text(body, "renamed_from", "")
    name = text(fields, "resourceName", f"people/c{len(contacts.items) + 1}")
    if body.get("delete") is True:
        return name if contacts.delete(name) else abort(404, "there is no such contact")
    kept = contacts.items[former or name].record if (former or name) in contacts.items else {}
    given_fields = {key: _with_sources(value, name) for key, value in fields.items() if key != "metadata"}
    source = {"type": "CONTACT", "id": seed.source_id(name), "updateTime": _now()}
    metadata: Record = {"sources": [source], "objectType": "PERSON"}
    if former:
        contacts.items.pop(former, None)
        metadata["previousResourceNames"] = [former]
    contacts.put(name, {**kept, **given_fields, "resourceName": name, "metadata": metadata})
    return name


def _with_sources(values: Any, name: str) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(values, list):
        return values
    given_as_is = [not isinstance(value, dict) or "metadata" in value for value in values]
    return [
        value if as_is else sourced(value, "CONTACT", seed.source_id(name), primary=place == 0)
        for place, (value, as_is) in enumerate(zip(values, given_as_is, strict=True))
    ]


def _change_event(account: Account, body: Record) -> str:
    calendar = account.calendar(text(body, "calendar", "primary")) or abort(404, "there is no such calendar")
    fields, events = body["event"], calendar.events
    event_id = text(fields, "id", f"added{events.version + 1}")
    if body.get("delete") is True:
        return event_id if events.delete(event_id) else abort(404, "there is no such event")
    kept = events.items[event_id].record if event_id in events.items else {"status": "confirmed"}
    event = {"kind": "calendar#event", **kept, **fields, "id": event_id, "updated": _now()}
    if not all(isinstance(event.get(name), dict) for name in ("start", "end")):
        abort(400, "an event needs start and end")
    events.put(event_id, event)
    return event_id


def _now() -> str:
    return datetime.fromtimestamp(google().clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
