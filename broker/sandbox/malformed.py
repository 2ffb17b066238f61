"""Answers that no sound provider would send, made out of the one that it would have sent."""

import gzip
import json
from collections.abc import Callable, Mapping
from functools import cache

HUGE = 64 * 1024 * 1024
"""Bytes of an answer that is far too long, once it is unpacked."""
DEEP = 200_000
"""Levels of nesting."""

Spoil = Callable[[bytes], bytes]


def _members(body: bytes) -> dict[str, object]:
    """Of an answer that is a JSON object; else none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _twice(body: bytes) -> bytes:
    """The first member stands again at the end, with another value."""
    name = next(iter(_members(body)), "scope")
    return body.rstrip()[:-1] + b"," + json.dumps(name).encode() + b':"SECOND"}'


def _other_types(body: bytes) -> bytes:
    """A list becomes a text, all else a list."""
    found = _members(body)
    return json.dumps({name: "TEXT" if isinstance(value, list) else [7] for name, value in found.items()}).encode()


def _with_member(text: bytes) -> Spoil:
    return lambda body: body.rstrip()[:-1] + b',"surprise":' + text + b"}"


@cache
def _packed() -> bytes:
    return gzip.compress(b" " * HUGE, compresslevel=9)


SPOILED: Mapping[str, Spoil] = {
    "truncated": lambda body: body[: len(body) // 2],
    "cut": lambda body: body,
    "empty": lambda _: b"",
    "no_members": lambda _: b"{}",
    "null": lambda _: b"null",
    "list": lambda _: b"[]",
    "not_json": lambda _: b"It works!",
    "not_utf8": _with_member(b'"\xff\xfe"'),
    "lone_surrogate": _with_member(b'"\\ud800"'),
    "nan": _with_member(b"NaN"),
    "endless_number": _with_member(b"9" * 100_000),
    "deep": lambda _: b"[" * DEEP + b"]" * DEEP,
    "twice": _twice,
    "other_types": _other_types,
    "huge": lambda _: b" " * HUGE,
    "bomb": lambda _: _packed(),
}
"""`cut` keeps the answer and loses the connection in its middle; `huge` is 64 MiB, `bomb` the same under gzip."""
