"""What a provider answered, and reading it strictly. No network here; a body never stands in a message."""

import email.utils
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Never

from broker.errors import ProviderUnavailable

DEPTH = 64
"""Levels of nesting that a JSON answer may have."""
LARGEST_INTEGER = 2**64 - 1
SHORTEST_WAIT, USUAL_WAIT, LONGEST_WAIT = 1, 60, 3600
"""Seconds to wait after a 429: at least, when the provider does not say, at most."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer that arrived whole and within its caps; 4xx and 5xx are answers too."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name. Never `set-cookie`."""
    body: bytes = field(repr=False)

    def json(self) -> Any:  # noqa: ANN401 - any JSON document
        """The body as a JSON object or array; raises `ProviderUnavailable` for anything less than sound.

        Refused: not UTF-8, NaN and infinities, duplicate names, more than 64 levels, integers beyond 64 bits,
        lone surrogates, a bare scalar (docs/facts/security.md REL-45).
        """
        value = _strict(self.body)
        if value is None:
            raise ProviderUnavailable("The provider's answer is not a sound JSON document.")
        return value


def retry_after(answer: Answer, *, now: Callable[[], float] = time.time) -> int:
    """Seconds to leave the provider alone, 1 to 3600; 60 if it does not say (docs/facts/security.md REL-42).

    A date is read against the answer's own `Date`, so that the provider's clock may be wrong (REL-57).
    """
    said = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"-?[0-9]+", said):
        return _bounded(float(said))
    until = _timestamp(said)
    if until is None:
        return USUAL_WAIT
    since = _timestamp(answer.headers.get("date", ""))
    return _bounded(until - (now() if since is None else since))


def _bounded(seconds: float) -> int:
    return math.ceil(min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT))


def _timestamp(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _strict(body: bytes) -> dict[str, Any] | list[Any] | None:
    """The document, or None if it is refused: an exception would carry the body along."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refused,
        )
        if rb"\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) and _shallow(value) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate names")
    return members


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= 21 else LARGEST_INTEGER + 1
    if abs(value) > LARGEST_INTEGER:
        raise ValueError("integer out of range")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("number out of range")
    return value


def _refused(_: str) -> Never:
    raise ValueError("not JSON")


def _shallow(value: dict[str, Any] | list[Any]) -> bool:
    """Level by level rather than by recursion: depth costs no stack."""
    level: list[Any] = [value]
    for _ in range(DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return True
    return False


def _children(item: dict[str, Any] | list[Any]) -> Any:  # noqa: ANN401 - values of a JSON document
    return item.values() if isinstance(item, dict) else item
