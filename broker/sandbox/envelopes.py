"""The error bodies of Google's APIs, in both envelopes: `errors[]` and `details[]` (docs/facts/google.md §5.8)."""

from collections.abc import Mapping
from typing import Any

ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

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


def scope_insufficient(service: str, method: str) -> ApiError:
    """403, with both envelopes in one body."""
    info = _info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", service=service, method=method)
    body = _newer(403, "Request had insufficient authentication scopes.", "PERMISSION_DENIED", info)
    entry = {"message": "Insufficient Permission", "domain": "global", "reason": "insufficientPermissions"}
    body["error"]["errors"] = [entry]
    return ApiError(403, body, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


def unauthenticated(service: str) -> ApiError:
    """401. Calendar adds the older envelope with `authError` (§5.3)."""
    message = "Request had invalid authentication credentials. (Sandbox: this is not Google.)"
    body = _newer(401, message, "UNAUTHENTICATED")
    if service == "calendar-json.googleapis.com":
        where = {"locationType": "header", "location": "Authorization"}
        older = _older(401, "Invalid Credentials", "global", "authError", **where)
        body["error"]["errors"] = older["error"]["errors"]
    return ApiError(401, body, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def invalid_argument(message: str) -> ApiError:
    """400 of the newer APIs."""
    return ApiError(400, _newer(400, message, "INVALID_ARGUMENT"))


def bad_request(message: str, *, location: str) -> ApiError:
    """400 of the older APIs."""
    body = _older(400, message, "global", "badRequest", locationType="parameter", location=location)
    return ApiError(400, body)


def not_found() -> ApiError:
    return ApiError(404, _older(404, "Not Found", "global", "notFound"))


def gone(reason: str) -> ApiError:
    """410 of Calendar: `fullSyncRequired`, `updatedMinTooLongAgo` or `deleted` (§5.3)."""
    message = f"Gone: {reason}. (Sandbox)"
    where = {"locationType": "parameter", "location": "syncToken"} if reason == "fullSyncRequired" else {}
    domain = "global" if reason == "deleted" else "calendar"
    return ApiError(410, _older(410, message, domain, reason, **where))


def expired_sync_token(code: int = 400, status: str = "FAILED_PRECONDITION") -> ApiError:
    """People has forgotten the place; only the reason is reliable (§5.2)."""
    info = _info("EXPIRED_SYNC_TOKEN", domain="people.googleapis.com")
    return ApiError(code, _newer(code, "Sync token is expired. (Sandbox)", status, info))


def rate_limit_older(code: int) -> Body:
    return _older(code, "Rate Limit Exceeded", "usageLimits", "rateLimitExceeded")


def rate_limit_newer(code: int) -> Body:
    info = _info("RATE_LIMIT_EXCEEDED", quota_limit="ReadsPerMinutePerUser", quota_limit_value="60")
    return _newer(code, "Quota exceeded. (Sandbox)", "RESOURCE_EXHAUSTED", info)


def outage(code: int) -> Body:
    return _older(code, "Backend Error", "global", "backendError")
