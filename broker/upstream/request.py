"""One request about to leave: the only door to the wire, for data calls and OAuth flows alike.

A URL at an origin that was not pinned, or one that would not go out byte for byte as given, ends here
(docs/facts/security.md §6.1, §11.4). No network in this module.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from broker.errors import ProviderUnavailable

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
OURS = frozenset(
    {
        *("accept-encoding", "authorization", "connection", "content-length", "cookie", "expect", "host"),
        *("keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
    }
)
"""Headers that a caller cannot set."""

_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})"
_URL = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)"
    rf"(?P<target>(?P<path>/{_CHARACTER}*)(?:\?(?:{_CHARACTER}|\?)*)?)"
)
_DOT_SEGMENT = re.compile(r"(?:/|%2F)(?:\.|%2E){1,2}(?:/|%2F|$)")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+: [\x20-\x7e]*")


@dataclass(frozen=True)
class Request:
    """`target` is the path and query exactly as they go on the wire."""

    method: str
    origin: str
    target: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.origin).netloc


def checked(
    method: str,
    url: str,
    *,
    pins: frozenset[str],
    over_http: Collection[str],
    headers: Mapping[str, str],
    body: bytes | None,
) -> Request:
    """The request, if it may leave. `over_http`: the origins that the development map names.

    Raises `ProviderUnavailable` (nothing was sent) for the URL, `ValueError` for a method or header of ours.
    """
    match = _URL.fullmatch(url)
    if match is None or match["origin"] not in pins:
        raise _refused("The URL is not at an origin that this may be sent to.")
    if match["scheme"] != "https" and match["origin"] not in over_http:
        raise _refused("The URL is not https.")
    if _DOT_SEGMENT.search(match["path"]) or not _goes_out_as_given(url):
        raise _refused("The URL is not in its plain form.")
    if method not in METHODS:
        raise ValueError(f"not a method that is sent: {method!r}")
    _check_values(headers)
    fixed = {"Accept-Encoding": "identity", "User-Agent": "integration-broker"}
    return Request(method, match["origin"], match["target"], {**headers, **fixed}, body)


def free_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """A copy of what a caller gave. Raises `ValueError` if one of them is ours to set."""
    taken = sorted(name for name in headers if name.lower() in OURS)
    if taken:
        raise ValueError(f"headers that a caller does not set: {', '.join(taken)}")
    return dict(headers)


def _refused(detail: str) -> ProviderUnavailable:
    return ProviderUnavailable(detail, retryable=False, sent=False)


def _goes_out_as_given(url: str) -> bool:
    """Whether urllib3 would leave it alone."""
    try:
        return parse_url(url).url == url
    except LocationParseError:
        return False


def _check_values(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            raise ValueError(f"the header {name!r} holds what no header may")
