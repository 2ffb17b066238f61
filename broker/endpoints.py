"""Where a provider app is served: a value of addresses, read from a provider's file, or discovered at its issuer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoints:
    """Where a provider app is served. Origins are pinned from these, never from an answer."""

    authorization: str
    token: str
    issuers: tuple[str, ...] = ()
    """Accepted in an id_token; the first is the one expected in the callback's `iss` (RFC 9207). None: it is no issuer,
    and sends neither."""
    jwks: str | None = None
    revocation: str | None = None
    """RFC 7009; None where the provider has no such endpoint."""
    userinfo: str | None = None
    issuer_in_callback: bool = False
    """The provider promises `iss` in every callback: then a missing one is refused."""
    scopes_supported: frozenset[str] = frozenset()
    auth_methods_supported: tuple[str, ...] = ()
    """`token_endpoint_auth_methods_supported` (RFC 8414 §2); empty where the provider does not say."""
    api: str = ""
    """Origin of the data API, where that is one."""
    base: str = ""
    """What stands before each path of the data API: a version, chosen by the operator."""
