"""What a provider answered, and reading it strictly. No network here; a body never stands in a message."""

import contextlib
import email.utils
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from broker import strict_json
from broker.errors import ProviderUnavailable

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
        """The body as a JSON object or array. Raises `ProviderUnavailable` for anything that `strict_json` refuses,
        and for a bare value (docs/facts/security.md REL-45).
        """
        value = None
        with contextlib.suppress(ValueError):
            value = strict_json.parse(self.body)
        if not isinstance(value, dict | list):
            raise ProviderUnavailable("The provider's answer is not a sound JSON document.")
        return value

    def lenient(self) -> object:
        """The body's JSON, or None: a provider's error page need not be any."""
        try:
            return self.json()
        except ProviderUnavailable:
            return None


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
    """A date in any form of RFC 9110 §5.6.7; the one of asctime names no zone and means UTC."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
