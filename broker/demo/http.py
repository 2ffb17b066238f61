"""What the demo sends over HTTP: as a server would, and as a browser without script would."""

import html.parser
import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.text)


class Browser:
    """A browser without script: keeps cookies, shows each redirect instead of following it."""

    def __init__(self) -> None:
        self.cookies = http.cookiejar.CookieJar()

    def get(self, url: str) -> Answer:
        return self._open(urllib.request.Request(url))  # noqa: S310 - loopback

    def post(self, url: str, form: list[tuple[str, str]]) -> Answer:
        return self._open(urllib.request.Request(url, data=urllib.parse.urlencode(form).encode()))  # noqa: S310

    def _open(self, request: urllib.request.Request) -> Answer:
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPCookieProcessor(self.cookies))
        return _opened(lambda: opener.open(request, timeout=30))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _Hidden(html.parser.HTMLParser):
    """The hidden fields of a page's form."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.fields.append((str(given["name"]), given.get("value") or ""))


def hidden_fields(page: str) -> list[tuple[str, str]]:
    parser = _Hidden()
    parser.feed(page)
    return parser.fields


def query_of(url: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def send(method: str, url: str, data: bytes | None, headers: dict[str, str]) -> Answer:
    request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310 - loopback
    opener = urllib.request.build_opener(_NoRedirect)
    return _opened(lambda: opener.open(request, timeout=60))


def _opened(open_it: Callable[[], Any]) -> Answer:
    try:
        with open_it() as response:
            status, headers, content = response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        status, headers, content = error.code, error.headers, error.read()
    return Answer(status, {name.lower(): value for name, value in headers.items()}, content.decode())
