"""What both of Meta's Graph hosts share: errors, usage headers, versions, ids (docs/facts/meta.md §6.1, §6.2, §1.5).

Beside it: graph_fields.py reads `fields=`, graph_paging.py pages, graph_hooks.py sends what Meta sends to an app.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from flask import Response, jsonify, request

from broker.sandbox.quirks import Known, Quirks, by_prefix, members

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Body = dict[str, Any]
Headers = list[tuple[str, str]]

CURRENT = "v26.0"
"""What an address without a version means (§1.5)."""
VERSION = re.compile(r"/(v\d{1,2}\.\d)(?=/|$)")

THROTTLES = {
    4: "(#4) Application request limit reached",
    17: "(#17) User request limit reached",
    32: "(#32) Page request limit reached",
    613: "(#613) Calls to this api have exceeded the rate limit.",
    80001: "(#80001) There have been too many calls to this Page account.",
    80002: "(#80002) There have been too many calls to this Instagram account.",
    80005: "(#80005) There have been too many leadgen api calls to this Page account.",
    80006: "(#80006) There have been too many messaging calls to this Page account.",
}
"""§6.1; all of them with HTTP 400."""


class GraphError(Exception):
    """Ends a call with Graph's error object (§6.1)."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        subcode: int | None = None,
        kind: str = "OAuthException",
        status: int = 400,
        transient: bool | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`transient`: `is_transient`, left out where None."""
        super().__init__(code)
        self.code, self.message, self.subcode, self.kind = code, message, subcode, kind
        self.status, self.transient, self.headers = status, transient, dict(headers or {})

    @property
    def body(self) -> Body:
        members = {
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "error_subcode": self.subcode,
            "is_transient": self.transient,
        }
        found = {name: value for name, value in members.items() if value is not None}
        return {"error": {**found, "fbtrace_id": trace_id()}}


def graph_error(error: GraphError) -> Response:
    """Renders it; an application registers it for `GraphError`."""
    response = jsonify(error.body)
    response.status_code = error.status
    response.headers.update(error.headers)
    if error.code == 190:
        challenge = f'OAuth "Facebook Platform" "invalid_token" "{error.message}"'
        response.headers["WWW-Authenticate"] = challenge
    return response


def trace_id() -> str:
    """A `fbtrace_id`: another each time."""
    return "A" + secrets.token_urlsafe(16)


def invalid_token(message: str, subcode: int | None = None) -> GraphError:
    """190."""
    return GraphError(190, message, subcode=subcode)


def permission_missing(message: str, code: int = 10) -> GraphError:
    """10, 3 or one from 200 to 299."""
    return GraphError(code, f"(#{code}) {message}", status=403 if code >= 200 else 400)


def bad_parameter(message: str, *, kind: str = "OAuthException") -> GraphError:
    """100."""
    return GraphError(100, f"(#100) {message}", kind=kind)


def not_found(object_id: str, method: str = "GET") -> GraphError:
    """100 with subcode 33: missing, or not visible to this token."""
    message = (
        f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation."
    )
    return GraphError(100, message, subcode=33, kind="GraphMethodException")


def throttled(code: int) -> GraphError:
    """One of `THROTTLES`."""
    message = THROTTLES.get(code, f"(#{code}) Calls have exceeded the rate limit.")
    return GraphError(code, message, transient=True if code in (4, 17) else None)


def transient(status: int = 500) -> GraphError:
    """2."""
    message = "An unexpected error has occurred. Please retry your request later."
    return GraphError(2, message, status=status, transient=True)


def digits(length: int, *parts: str) -> str:
    """An id as Meta has them, a text of so many digits: the same for the same parts."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest())
    lowest: int = 10 ** (length - 1)
    return str(lowest + number % (9 * lowest))


# --- usage headers -------------------------------------------------------------------------------------------


def app_usage(percent: int) -> tuple[str, str]:
    """`X-App-Usage`: user and app tokens count against it (§6.2)."""
    return "X-App-Usage", json.dumps({"call_count": percent, "total_time": percent, "total_cputime": percent})


def business_usage(object_id: str, kind: str, percent: int, minutes: int = 0) -> tuple[str, str]:
    """`X-Business-Use-Case-Usage`: Page and system-user tokens count against it. `minutes`: until access comes back."""
    usage = {"type": kind, "call_count": percent, "total_cputime": percent, "total_time": percent}
    usage["estimated_time_to_regain_access"] = minutes
    return "X-Business-Use-Case-Usage", json.dumps({object_id: [usage]})


# --- versions ------------------------------------------------------------------------------------------------


class Versions:
    """A WSGI layer: takes the version off the path and keeps it, so that a route serves every version and none.

    It also lets `method=` in the query stand for the real one, as Graph does (§4.4).
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ["sandbox.path"] = path = environ["PATH_INFO"]
        version = VERSION.match(path)
        environ["sandbox.version"] = version[1] if version else CURRENT
        environ["PATH_INFO"] = unversioned(path)
        given = parse_qs(environ.get("QUERY_STRING", "")).get("method", [""])[0].upper()
        if given in ("GET", "POST", "DELETE") and not path.startswith("/_sandbox"):
            environ["REQUEST_METHOD"] = given
        return self._app(environ, start_response)


def unversioned(path: str) -> str:
    """`/v26.0/me` is `/me`."""
    version = VERSION.match(path)
    return (path[version.end() :] or "/") if version else path


def version() -> str:
    """Of the current request."""
    found: str = request.environ.get("sandbox.version", CURRENT)
    return found


def own_path() -> str:
    """The path of the current request as it was sent, version included."""
    found: str = request.environ.get("sandbox.path", request.path)
    return found


# --- quirks that both have -----------------------------------------------------------------------------------


def _graph_error(value: Any) -> bool:  # noqa: ANN401 - any JSON
    kinds = {"code": int, "subcode": int, "status": int, "message": str, "type": str}
    plain = {name: item for name, item in value.items() if name != "is_transient"} if isinstance(value, dict) else value
    return members(plain, **kinds) and "code" in plain and isinstance(value.get("is_transient", False), bool)


def _rate_limit(value: Any) -> bool:  # noqa: ANN401
    number = isinstance(value, int) and not isinstance(value, bool)
    return number or (members(value, code=int, status=int, minutes=int, percent=int) and "code" in value)


GRAPH_WIRE: Mapping[str, Known] = {
    "rate_limit": Known(
        by_prefix(_rate_limit),
        {"/me": {"code": 80001, "minutes": 5, "percent": 100, "status": 400}},
        "by path prefix: the code of the limit (4, 17, 32, 613, 80001, …), or an object with code, status (400 as at "
        "Graph), percent used and minutes until access comes back, which the usage headers tell",
    ),
    "graph_error": Known(
        by_prefix(_graph_error),
        {"/me": {"code": 190, "subcode": 460, "status": 400, "message": "Changed", "is_transient": False}},
        "by path prefix: Graph's error object with this code; subcode, status, message, type and is_transient as you "
        "like",
    ),
}
"""They stand beside `WIRE`, whose `rate_limit` they replace. In a prefix the version may be left out."""


def ordered_error(quirks: Quirks, *paths: str) -> None:
    """Raises the `GraphError` that the quirk `graph_error` has for this call."""
    if found := quirks.take("graph_error", *paths):
        given = found[0]
        raise GraphError(
            given["code"],
            given.get("message", f"(#{given['code']}) Sandbox: this error was asked for."),
            subcode=given.get("subcode"),
            kind=given.get("type", "OAuthException"),
            status=given.get("status", 400),
            transient=given.get("is_transient"),
        )


def outage(_path: str, status: int) -> Body:
    """What a failing Graph says."""
    return transient(status).body


def rate_limited(path: str, limit: Any) -> tuple[int, Body, Headers]:  # noqa: ANN401 - any JSON
    """Status, body and headers for the quirk `rate_limit`."""
    given = limit if isinstance(limit, dict) else {"code": limit}
    code, percent = given["code"], given.get("percent", 100)
    headers = [app_usage(percent)]
    if code > 1000 or code == 32:
        headers = [business_usage(digits(15, path), "pages", percent, given.get("minutes", 5))]
    return given.get("status", 400), throttled(code).body, headers
