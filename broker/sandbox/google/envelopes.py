"""The error bodies of Google's APIs, in both envelopes: `errors[]` and `details[]` (docs/facts/google.md §5.8)."""

from collections.abc import Mapping
from typing import Any

ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
CALENDAR = "calendar-json.googleapis.com"
GMAIL = "gmail.googleapis.com"
DRIVE = "drive.googleapis.com"
OLDER = {CALENDAR: "/calendar/", GMAIL: "/gmail/", DRIVE: "/drive/"}
"""Services that speak the older envelope by themselves, and where their paths begin."""
NOT_GOOGLE = "(Sandbox: this is not Google.)"

Body = dict[str, Any]


class ApiError(Exception):
    """Ends a data call with this status and body."""

    def __init__(self, status: int, body: Body, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, dict(headers or {})


def _older(code: int, message: str, domain: str, reason: str, **members: str) -> Body:
    entry = {"domain": domain, "reason": reason, "message": message, **members}
    return {"error": {"errors": [entry], "code": code, "message": message}}


def _newer(code: int, message: str, status: str, *details: Body) -> Body:
    error = {"code": code, "message": message, "status": status}
    return {"error": {**error, "details": list(details)} if details else error}


def _info(reason: str, domain: str = "googleapis.com", **metadata: str) -> Body:
    return {"@type": ERROR_INFO, "reason": reason, "domain": domain, "metadata": metadata}


def unauthenticated(service: str, *, missing: bool = False) -> ApiError:
    """401. Calendar, Gmail and Drive add the older envelope with `authError` (§5.3)."""
    what = "is missing required authentication credential" if missing else "had invalid authentication credentials"
    body = _newer(401, f"Request {what}. {NOT_GOOGLE}", "UNAUTHENTICATED")
    if service in OLDER:
        where = {"locationType": "header", "location": "Authorization"}
        older = _older(401, "Invalid Credentials", "global", "authError", **where)
        body["error"]["errors"] = older["error"]["errors"]
    return ApiError(
        401, body, {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
    )


def scope_insufficient(service: str, method: str) -> ApiError:
    """403, with both envelopes in one body."""
    info = _info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", service=service, method=method)
    body = _newer(403, "Request had insufficient authentication scopes.", "PERMISSION_DENIED", info)
    entry = {"message": "Insufficient Permission", "domain": "global", "reason": "insufficientPermissions"}
    body["error"]["errors"] = [entry]
    return ApiError(403, body, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


def requires_one_of(*scopes: str) -> ApiError:
    """403 that names scopes in its text alone (rule P2)."""
    message = f"Request requires one of the following scopes: [{', '.join(scopes)}]."
    return ApiError(403, _newer(403, message, "PERMISSION_DENIED"))


def forbidden(reason: str, service: str, method: str) -> ApiError:
    """403 of one kind, in one envelope: a name in capitals in `details[]`, another in `errors[]`."""
    if reason == "requires_one_of":
        return requires_one_of("profile")
    if reason == "no_reason":
        return ApiError(403, _newer(403, f"Refused. {NOT_GOOGLE}", "PERMISSION_DENIED"))
    if reason.isupper():
        info = _info(reason, service=service, method=method)
        return ApiError(403, _newer(403, f"Refused. {NOT_GOOGLE}", "PERMISSION_DENIED", info))
    domain = "usageLimits" if reason == "accessNotConfigured" else "global"
    return ApiError(403, _older(403, f"Refused. {NOT_GOOGLE}", domain, reason))


def invalid_argument(message: str) -> ApiError:
    """400 of the newer APIs."""
    return ApiError(400, _newer(400, message, "INVALID_ARGUMENT"))


def in_both(code: int, message: str, status: str, reason: str) -> ApiError:
    """A refusal of Gmail's: in `errors[]`, with a status, without details (rule G4)."""
    body = _older(code, message, "global", reason)
    body["error"]["status"] = status
    return ApiError(code, body)


def not_permitted(message: str = "The caller does not have permission") -> ApiError:
    """403 of the newer APIs, for what is not the user's."""
    return ApiError(403, _newer(403, message, "PERMISSION_DENIED"))


def file_not_picked(file_id: str) -> ApiError:
    """403 for a file that the user did not pick for the app (rule R1)."""
    message = f"The user has not granted the app read access to the file {file_id}. {NOT_GOOGLE}"
    return ApiError(403, _older(403, message, "global", "appNotAuthorizedToFile"))


def no_quota(service: str, project: str) -> ApiError:
    """429 of a project that Google has not approved: its quota is 0 (§5.7)."""
    consumer = f"project_number:{project}"
    limits = {"quota_limit": "DefaultRequestsPerMinutePerProject", "quota_limit_value": "0"}
    info = _info("RATE_LIMIT_EXCEEDED", service=service, consumer=consumer, **limits)
    what = "quota metric 'Requests' and limit 'Requests per minute'"
    message = f"Quota exceeded for {what} of service '{service}' for consumer '{consumer}'. {NOT_GOOGLE}"
    return ApiError(429, _newer(429, message, "RESOURCE_EXHAUSTED", info))


def entity_not_found() -> ApiError:
    """404 of the newer APIs."""
    return ApiError(404, _newer(404, "Requested entity was not found.", "NOT_FOUND"))


def expired_sync_token(code: int = 400, status: str = "FAILED_PRECONDITION") -> ApiError:
    """People has forgotten the place; only the reason is reliable (§5.2)."""
    info = _info("EXPIRED_SYNC_TOKEN", domain="people.googleapis.com")
    return ApiError(code, _newer(code, f"Sync token is expired. {NOT_GOOGLE}", status, info))


def bad_request(message: str, *, location: str, reason: str = "badRequest") -> ApiError:
    """400 of the older APIs."""
    body = _older(400, message, "global", reason, locationType="parameter", location=location)
    return ApiError(400, body)


def not_found() -> ApiError:
    """404 of the older APIs."""
    return ApiError(404, _older(404, "Not Found", "global", "notFound"))


def gone(reason: str) -> ApiError:
    """410 of Calendar: `fullSyncRequired`, `updatedMinTooLongAgo` or `deleted` (§5.3)."""
    message = f"Gone: {reason}. {NOT_GOOGLE}"
    where = {"locationType": "parameter", "location": "syncToken"} if reason == "fullSyncRequired" else {}
    domain = "global" if reason == "deleted" else "calendar"
    return ApiError(410, _older(410, message, domain, reason, **where))


def rate_limited(path: str, limit: Any) -> tuple[int, Body, list[tuple[str, str]]]:  # noqa: ANN401 - any JSON
    """Status, body and headers for the quirk of that name."""
    given = limit if isinstance(limit, dict) else {"retry_after": limit}
    after = given.get("retry_after")
    return *_rate_limited(path, given), [] if after is None else [("Retry-After", str(after))]


def _rate_limited(path: str, given: Mapping[str, Any]) -> tuple[int, Body]:
    """Calendar, Gmail and Drive speak the older envelope by themselves, with 403; the others the newer, with 429 (§5.3,
    §5.8)."""
    older = given.get("envelope", "errors" if _is_older(path) else "details") == "errors"
    status: int = given.get("status", 403 if older else 429)
    if older:
        return status, _older(status, "Rate Limit Exceeded", "usageLimits", "rateLimitExceeded")
    info = _info("RATE_LIMIT_EXCEEDED", quota_limit="ReadsPerMinutePerUser", quota_limit_value="60")
    return status, _newer(status, f"Quota exceeded. {NOT_GOOGLE}", "RESOURCE_EXHAUSTED", info)


def _is_older(path: str) -> bool:
    return path.startswith(tuple(OLDER.values()))


def outage(path: str, code: int) -> Body:
    """A failure of the service. That of the token endpoint is worded as OAuth's (§1.9)."""
    if path == "/token":
        return {"error": "internal_failure"}
    if _is_older(path):
        return _older(code, "Backend Error", "global", "backendError")
    return _newer(code, f"Internal error encountered. {NOT_GOOGLE}", "UNAVAILABLE" if code == 503 else "INTERNAL")
