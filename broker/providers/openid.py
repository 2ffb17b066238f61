"""Any further OpenID provider, by discovery. https://openid.net/specs/openid-connect-discovery-1_0.html

Departures: none. Its endpoints come from the issuer's own metadata; its data is the userinfo endpoint
(OpenID Connect Core §5.3, §5.4); an omitted `scope` is as requested (RFC 6749 §5.1); the client authenticates by
HTTP Basic, as one does for which nothing else was registered (OpenID Connect Core §9, RFC 6749 §2.3.1), unless the
metadata name other methods only (RFC 8414 §2).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from broker.config import DAILY_LOOK, origin
from broker.endpoints import Endpoints
from broker.errors import OperationDenied
from broker.operations import Operation
from broker.providers.base import AuthorizationHints, Provider
from broker.providers.line import Line
from broker.providers.resource import Listing, Place, Resource, Values

CLAIMS = {
    "sub": ("openid",),
    **dict.fromkeys(
        ("name", "given_name", "family_name", "preferred_username", "picture", "locale", "updated_at"),
        ("profile",),
    ),
    **dict.fromkeys(("email", "email_verified"), ("email",)),
}
LASTING = frozenset({"offline_access"})
"""Without it many give no refresh token (OpenID Connect Core §11)."""


class UserInfo(Resource):
    """The claims about the user; one record (OpenID Connect Core §5.4: which scope opens which claim)."""

    name = "userinfo"
    operation = "openid.userinfo"
    identity = "sub"
    of_account = True
    fields = CLAIMS
    titles = {
        "sub": {"en": "your account's id", "id": "id akun Anda"},
        "name": {"en": "your name", "id": "nama Anda"},
        "given_name": {"en": "given name", "id": "nama depan"},
        "family_name": {"en": "family name", "id": "nama belakang"},
        "preferred_username": {"en": "user name", "id": "nama pengguna"},
        "picture": {"en": "your picture", "id": "foto Anda"},
        "locale": {"en": "your language", "id": "bahasa Anda"},
        "email": {"en": "email address", "id": "alamat email"},
        "email_verified": {"en": "whether the address was verified", "id": "apakah alamat terverifikasi"},
        "updated_at": {"en": "last change", "id": "perubahan terakhir"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        return {}

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:  # noqa: ARG002
        """That `sub` is the id_token's is checked where the account is known (OpenID Connect Core §5.3.2)."""
        if not isinstance(answer.get("sub"), str):
            raise ValueError("userinfo without sub")
        return Listing([answer], None, has_more=False)


class OpenIDProvider(Provider):
    kind = "openid"
    options = (DAILY_LOOK,)
    omitted_scope_is_requested = True
    auth_method = "client_secret_basic"
    resources = {"userinfo": UserInfo()}

    def __init__(self, name: str) -> None:
        self.name = name
        self.title = name.replace("_", " ").title()

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:
        if operation_id != UserInfo.operation or not endpoints.userinfo:
            raise OperationDenied("This provider offers no such operation.")
        return Operation(
            id=operation_id,
            method="GET",
            origin=origin(endpoints.userinfo),
            template=urlsplit(endpoints.userinfo).path,
            scopes=frozenset({"openid"}),
            parameters={},
        )

    def asked(self, wanted: frozenset[str], line: Line) -> frozenset[str]:
        """Only what the issuer lists, if it lists any: for one it does not know it may refuse the whole request."""
        listed = line.endpoints.scopes_supported
        return (wanted | LASTING) & (listed | {"openid"}) if listed else wanted

    def authorize_parameters(self, hints: AuthorizationHints, line: Line) -> dict[str, str]:  # noqa: ARG002
        """Lasting access is given only where the user is asked for consent (OpenID Connect Core §11)."""
        parameters = {"prompt": "consent"} if hints.force_consent or LASTING & hints.requested else {}
        return parameters | ({"login_hint": hints.login_hint} if hints.login_hint else {})
