"""One request about to leave: the only door to the wire, for data calls and OAuth flows alike.

A URL at an origin that was not pinned, or one that would not go out byte for byte as given, ends here
(docs/facts/security.md §6.1, §11.4). No network in this module.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from broker.errors import ProviderUnavailable
from broker.secret import Secret

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
OURS = frozenset(
    {
        *("accept-encoding", "authorization", "connection", "content-length", "cookie", "expect", "host"),
        *("keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
    }
)
"""Headers that a caller cannot set."""

_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})"
_ORIGIN = r"(?P<scheme>https?)://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_URL = re.compile(rf"(?P<origin>{_ORIGIN})(?P<target>(?P<path>/{_CHARACTER}*)(?:\?(?:{_CHARACTER}|\?)*)?)")
_DOT_SEGMENT = re.compile(r"(?:/|%2F)(?:\.|%2E){1,2}(?:/|%2F|$)")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_FIXED = {"Accept-Encoding": "identity", "User-Agent": "integration-broker"}


class Headers(dict[str, str]):
    """Shows its names alone: a crash report that tells the locals of a frame tells no token (ADR 0009)."""

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


@dataclass(frozen=True)
class Request:
    """`target` is the path and query exactly as they go on the wire."""

    method: str
    origin: str
    target: str = field(repr=False)
    headers: Headers = field(default_factory=Headers)
    body: bytes | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.origin).netloc

    def carrying(self, headers: Mapping[str, str], token: Secret | None, body: bytes | None) -> "Request":
        """This request with what it carries. Raises `ValueError` for a header that is none."""
        return replace(self, headers=_sound(Headers({**headers, **_bearer(token), **_FIXED})), body=body)


def checked(method: str, url: str, *, pins: frozenset[str], over_http: Collection[str]) -> Request:
    """The request, empty as yet, if it may leave. `over_http`: the origins that the development map names.

    Raises `ProviderUnavailable` (nothing was sent) for the URL, `ValueError` for the method.
    """
    match = _URL.fullmatch(url)
    if match is None or match["origin"] not in pins:
        raise refused("The URL is not at an origin that this may be sent to.")
    if match["scheme"] != "https" and match["origin"] not in over_http:
        raise refused("The URL is not https.")
    if _DOT_SEGMENT.search(match["path"]) or not _goes_out_as_given(url):
        raise refused("The URL is not in its plain form.")
    if method not in METHODS:
        raise ValueError(f"not a method that is sent: {method!r}")
    return Request(method, match["origin"], match["target"])


def origin_of(url: str) -> str:
    """All before the path, as it stands; empty if there is no such thing."""
    match = re.match(r"[^:/?#]+://[^/?#]*", url)
    return match[0] if match else ""


def is_origin(text: str) -> bool:
    return re.fullmatch(_ORIGIN, text) is not None and _goes_out_as_given(text)


def free_headers(headers: Mapping[str, str]) -> Headers:
    """A copy of what a caller gave. Raises `ValueError` if one of them is ours to set."""
    taken = sorted(name for name in headers if name.lower() in OURS)
    if taken:
        raise ValueError(f"headers that a caller does not set: {', '.join(taken)}")
    return Headers(headers)


def refused(detail: str) -> ProviderUnavailable:
    """Nothing was sent, and nothing will be however often it is tried."""
    return ProviderUnavailable(detail, retryable=False, sent=False)


def is_header(name: str, value: str) -> bool:
    """Whether it is one line of printable ASCII, and its name a token (RFC 9110 §5.1, §5.5)."""
    return bool(_NAME.fullmatch(name) and _VALUE.fullmatch(value))


def _goes_out_as_given(url: str) -> bool:
    """Whether urllib3 would leave it alone."""
    try:
        return parse_url(url).url == url
    except LocationParseError:
        return False


def _bearer(token: Secret | None) -> Headers:
    return Headers() if token is None else Headers(Authorization=f"Bearer {token.reveal()}")


def _sound(headers: Headers) -> Headers:
    wrong = [name for name, value in headers.items() if not is_header(name, value)]
    if wrong:
        raise ValueError(f"the header {wrong[0]!r} holds what no header may")
    return headers
