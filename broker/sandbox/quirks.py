"""How a test makes a fake depart from its provider: what each quirk may hold, and which are on.

Nothing here acts; whoever answers a request asks `Quirks` whether to depart. `WIRE` holds the quirks that every fake
has; a provider's own stand in its folder.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.sandbox.malformed import SPOILED

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Known:
    """A quirk by name: which values it takes, one of them, and what it does."""

    fits: Check
    example: Any
    meaning: str


def flag(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, bool)


def seconds(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def texts(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def one_of(*choices: object) -> Check:
    return lambda value: isinstance(value, str | int) and not isinstance(value, bool) and value in choices


def members(value: Any, **kinds: type) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and all(
        name in kinds and isinstance(item, kinds[name]) and not isinstance(item, bool) for name, item in value.items()
    )


def by_prefix(fits: Check) -> Check:
    """{"/path/prefix": item}; an item may also be {"value": item, "times"?: calls that it lasts, "after"?: calls
    that it spares first}."""

    def check(value: Any) -> bool:  # noqa: ANN401
        return isinstance(value, dict) and all(
            prefix.startswith("/") and (_counted(item, fits) if _is_counted(item) else fits(item))
            for prefix, item in value.items()
        )

    return check


def _is_counted(item: Any) -> bool:  # noqa: ANN401
    return isinstance(item, dict) and "value" in item


def _counted(item: dict[str, Any], fits: Check) -> bool:
    counts = {name: count for name, count in item.items() if name != "value"}
    return fits(item["value"]) and members(counts, times=int, after=int) and all(n >= 0 for n in counts.values())


def _outage(value: Any) -> bool:  # noqa: ANN401
    status = isinstance(value, int) and not isinstance(value, bool) and 300 <= value <= 599
    return status or value in ("html", "hang", "reset")


def _rate_limit(value: Any) -> bool:  # noqa: ANN401
    in_full = members(value, retry_after=int, envelope=str, status=int)
    return value is None or seconds(value) or (in_full and value.get("envelope", "errors") in ("errors", "details"))


WIRE: Mapping[str, Known] = {
    "outage": Known(
        by_prefix(_outage),
        {"/token": {"value": 503, "times": 2}},
        "by path prefix: a status from 300 to 599 (a redirect leads to /elsewhere), `html` (a page with status 200), "
        "`hang` (no answer) or `reset` (the connection is lost)",
    ),
    "delay": Known(by_prefix(seconds), {"/v1/people": 0.5}, "by path prefix: seconds before the answer"),
    "trickle": Known(by_prefix(seconds), {"/v1/people": 0.1}, "by path prefix: seconds between one byte and the next"),
    "malformed": Known(
        by_prefix(one_of(*SPOILED)),
        {"/token": "truncated"},
        "by path prefix: the true answer, spoiled: " + ", ".join(f"`{kind}`" for kind in SPOILED),
    ),
    "rate_limit": Known(
        by_prefix(_rate_limit),
        {"/calendar": {"retry_after": 3, "envelope": "details", "status": 429}},
        "by path prefix: Retry-After in seconds, null for none, or an object with retry_after, envelope (`errors` or "
        "`details`) and status; what is left out is as the service does it",
    ),
}


class BadQuirk(ValueError):
    """A quirk that is not known, or a value that it does not take; the text lists what is."""


def parsed(given: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Quirks by provider, from a command line: `PROVIDER.NAME` is on, `PROVIDER.NAME=VALUE` holds JSON or else the bare
    text. Raises `BadQuirk` where no provider is named."""
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        provider, dot, quirk = name.partition(".")
        if not dot:
            raise BadQuirk(f"{name}: put the provider before it, as in google.{name}")
        found.setdefault(provider, {})[quirk] = _value(value) if equals else True
    return found


def _value(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


class Quirks:
    """The quirks that are on. Thread-safe; `lock` is the fake's one lock."""

    def __init__(self, lock: threading.RLock, known: Mapping[str, Known], at_start: Mapping[str, Any]) -> None:
        """Raises `BadQuirk`."""
        self.known = known
        self._check(at_start)
        self._changed = threading.Condition(lock)
        self._at_start = dict(at_start)
        self._on = dict(at_start)
        self._version = 0

    def get(self, name: str, otherwise: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """The value of a quirk, `otherwise` where it is off."""
        assert name in self.known, name  # noqa: S101 - a slip of ours
        with self._changed:
            return self._on.get(name, otherwise)

    def take(self, name: str, *paths: str) -> tuple[Any] | None:
        """The value of the longest prefix that fits one of `paths`, in a tuple since it may be None. Counts this
        call."""
        with self._changed:
            fitting = [prefix for prefix in self.get(name, {}) if any(path.startswith(prefix) for path in paths)]
            if not fitting:
                return None
            prefix = max(fitting, key=len)
            item = self._on[name][prefix]
            return self._counted(name, prefix, item) if _is_counted(item) else (item,)

    def _counted(self, name: str, prefix: str, item: dict[str, Any]) -> tuple[Any] | None:
        if after := item.get("after", 0):
            self._put(name, prefix, {**item, "after": after - 1})
            return None
        if (left := item.get("times")) is not None:
            self._put(name, prefix, {**item, "times": left - 1} if left > 1 else None)
        return (item["value"],)

    def _put(self, name: str, prefix: str, item: dict[str, Any] | None) -> None:
        others = {key: value for key, value in self._on[name].items() if key != prefix}
        self._on[name] = others if item is None else {**others, prefix: item}
        if not self._on[name]:
            del self._on[name]

    def merge(self, quirks: Mapping[str, Any]) -> dict[str, Any]:
        """Switch quirks on, or with None or False off; gives all that are on. Raises `BadQuirk`."""
        self._check(quirks)
        with self._changed:
            merged = {**self._on, **quirks}
            self._replace({name: value for name, value in merged.items() if value is not None and value is not False})
            return dict(self._on)

    def reset(self) -> dict[str, Any]:
        """Back to the quirks of the start."""
        with self._changed:
            self._replace(dict(self._at_start))
            return dict(self._on)

    def all(self) -> dict[str, Any]:
        with self._changed:
            return dict(self._on)

    def token_error(self, grant_type: str) -> dict[str, Any] | None:
        """The error that this call of a token endpoint ends with; counts it against `times`."""
        with self._changed:
            error: dict[str, Any] | None = self.get("token_error")
            if error is None or error.get("grant_type", grant_type) != grant_type:
                return None
            if (left := error.get("times")) is not None:
                self._on["token_error"] = {**error, "times": left - 1}
                if left <= 1:
                    del self._on["token_error"]
            return error

    def wait_for_change(self, most: float) -> None:
        """Wait until the quirks change, at most so many seconds: how an answer hangs."""
        with self._changed:
            before = self._version
            self._changed.wait_for(lambda: self._version != before, timeout=most)

    def _check(self, quirks: Mapping[str, Any]) -> None:
        if unknown := sorted(quirks.keys() - self.known.keys()):
            raise BadQuirk(f"unknown quirk: {', '.join(unknown)}. Known: {', '.join(self.known)}")
        for name, value in quirks.items():
            if value is not None and value is not False and not self.known[name].fits(value):
                raise BadQuirk(f"{name} does not take this value: {self.known[name].meaning}")

    def _replace(self, quirks: dict[str, Any]) -> None:
        self._on = quirks
        self._version += 1
        self._changed.notify_all()
