"""What a user would write by hand: no guard, no encryption, no state, the token in a constant.

Each is a WSGI application for the same gunicorn as the broker's. `UPSTREAM` is where the provider answers.
"""

import os
from collections.abc import Callable
from typing import Any

import requests
import urllib3
from flask import Flask, Response
from requests_oauthlib import OAuth2Session

os.environ.setdefault("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the upstream is on loopback
UPSTREAM = os.environ.get("UPSTREAM", "")
PATH = (
    "/v1/people/me/connections?personFields=names,emailAddresses,metadata&sources=READ_SOURCE_TYPE_CONTACT&pageSize=100"
)
TOKEN = {"access_token": "ya29.by-hand", "token_type": "Bearer"}
pool = urllib3.PoolManager(maxsize=256)
adapter = requests.adapters.HTTPAdapter(pool_maxsize=256)


def constant() -> Response:
    """A bare answer: what Flask and gunicorn cost."""
    return Response(b'{"ok": true}', content_type="application/json")


def with_requests_oauthlib() -> Response:
    """One session of requests-oauthlib a request, on a shared pool of connections."""
    session = OAuth2Session("client", token=TOKEN)
    session.mount("http://", adapter)
    answer = session.get(UPSTREAM + PATH, timeout=10)
    return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])


def with_urllib3() -> Response:
    """The leanest way by hand."""
    answer = _fetched()
    return Response(answer.data, answer.status, content_type=answer.headers["Content-Type"])


def records_by_hand() -> dict[str, Any]:
    """One page fetched, parsed and converted, as a sync job by hand would."""
    people = _fetched().json()["connections"]
    return {"records": [_contact(person) for person in people], "next_cursor": None, "has_more": False}


def _fetched() -> urllib3.BaseHTTPResponse:
    return pool.request(
        "GET", UPSTREAM + PATH, headers={"Authorization": f"Bearer {TOKEN['access_token']}"}, timeout=10
    )


def _contact(person: dict[str, Any]) -> dict[str, Any]:
    name = (person.get("names") or [{}])[0]
    return {
        "id": person["resourceName"],
        "type": "contact",
        "deleted": bool(person.get("metadata", {}).get("deleted")),
        "source": {"provider": "google", "account": "me"},
        "name": name.get("displayName"),
        "given_name": name.get("givenName"),
        "family_name": name.get("familyName"),
        "emails": [{"value": one["value"], "type": one.get("type")} for one in person.get("emailAddresses", [])],
    }


def _application(view: Callable[[], Any]) -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/", view_func=view)
    return app


constant_app = _application(constant)
oauthlib_app = _application(with_requests_oauthlib)
urllib3_app = _application(with_urllib3)
records_app = _application(records_by_hand)
