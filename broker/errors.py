"""Every deliberate error: its stable code, HTTP status and whether a retry can help.

    BrokerError
    ├── what the caller sent      InvalidRequest, UnsupportedMediaType, TooLarge, MethodNotAllowed
    ├── who the caller is         Unauthorized, Forbidden, NotFound
    ├── what the user granted     InsufficientScope, NotGranted, GrantWithdrawn, AssetRequired, OperationDenied
    ├── what a confirm found      WrongAccount, ConsentAgain
    ├── how the connection does   ConnectionSuspended, ReconnectRequired, ConnectionRevoked
    ├── the provider              ProviderUnavailable, RateLimited
    └── ourselves                 Unavailable

They are turned into problem documents (RFC 9457) in one place, at the web edge. A provider's own text, a
token, a code or a URL never stands in one.
"""

from collections.abc import Sequence
from typing import Any


class BrokerError(Exception):
    """A refusal or failure that a caller may see; `detail` says how to mend it."""

    code = "unavailable"
    status = 503
    also: tuple[int, ...] = ()
    """Further statuses that it may come with."""
    title = "The broker cannot answer now"
    retryable = False

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        **members: Any,  # noqa: ANN401 - any JSON
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = {name: value for name, value in members.items() if value is not None}
        """Further members of the problem document: missing_scopes, source, assets, retry_after, errors, url."""
        if status is not None:
            self.status = status
        if retryable is not None:
            self.retryable = retryable


class InvalidRequest(BrokerError):
    """Malformed input; `errors` lists each field as {"field", "problem"}."""

    code, status, title, also = "invalid_request", 422, "The request is not valid", (400,)

    def __init__(self, detail: str, *, status: int = 422, errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail, status=status, errors=list(errors) or None)


class UnsupportedMediaType(BrokerError):
    code, status, title = "unsupported_media_type", 415, "Send application/json"


class TooLarge(BrokerError):
    code, status, title = "too_large", 413, "The body is too large"


class MethodNotAllowed(BrokerError):
    code, status, title = "method_not_allowed", 405, "This method is not allowed here"


class Unauthorized(BrokerError):
    code, status, title = "unauthorized", 401, "No valid broker access token"


class Forbidden(BrokerError):
    code, status, title = "forbidden", 403, "This client may not do that"


class NotFound(BrokerError):
    """Unknown, or another tenant's: both answer exactly alike."""

    code, status, title = "not_found", 404, "There is no such thing"

    def __init__(self, detail: str = "It does not exist, or this client may not know of it.") -> None:
        super().__init__(detail)


class InsufficientScope(BrokerError):
    """What the user granted does not open this. `source` says who refused: `broker` (the provider was not called)."""

    code, status, title, also = "insufficient_scope", 403, "The user did not grant what this needs", (409,)


class NotGranted(BrokerError):
    code, status, title = "not_granted", 403, "The user never granted this connector"


class GrantWithdrawn(BrokerError):
    code, status, title = "grant_withdrawn", 403, "The user withdrew this connector"


class AssetRequired(BrokerError):
    code, status, title = "asset_required", 400, "Name the asset to read"


class OperationDenied(BrokerError):
    code, status, title = (
        "operation_denied",
        403,
        "This operation is not declared, or a parameter could widen it",
    )


class WrongAccount(BrokerError):
    code, status, title = "wrong_account", 409, "The user chose a different account"


class ConsentAgain(BrokerError):
    code, status, title = "consent_again", 409, "The provider must ask the user once more"


class ConnectionSuspended(BrokerError):
    code, status, title = "connection_suspended", 409, "The connection is suspended"


class ReconnectRequired(BrokerError):
    code, status, title = "reconnect_required", 409, "The provider no longer honours this connection"


class ConnectionRevoked(BrokerError):
    code, status, title = "connection_revoked", 410, "The connection was revoked"


class ProviderUnavailable(BrokerError):
    """The provider failed (502), is being left alone (503) or ran out of time (504).

    `sent` tells whether the request may have reached the provider: what rotates there is then unknown.
    """

    code, status, title, retryable = "provider_unavailable", 502, "The provider failed", True
    also = (503, 504)

    def __init__(
        self,
        detail: str,
        *,
        status: int = 502,
        retryable: bool = True,
        retry_after: int | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(detail, status=status, retryable=retryable, retry_after=retry_after)
        self.sent = sent


class RateLimited(BrokerError):
    code, status, title, retryable = "rate_limited", 429, "A limit was reached", True

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail, retry_after=retry_after)


class Unavailable(BrokerError):
    """The broker could not make it durable: nothing was changed, or it is safe to repeat."""

    retryable = True


class ConfigurationError(Exception):
    """The process must not start; `problems` lists everything that is wrong, each with how to mend it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"- {problem}" for problem in problems))
        self.problems = list(problems)
