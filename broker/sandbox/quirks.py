"""What a test can make the sandbox do wrong: the known quirks, what each may hold, and which are on.

Nothing here acts; whoever answers a request asks `Quirks` whether to depart from what Google does.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Known:
    """A quirk by name: which values it takes, and what it does."""

    fits: Check
    meaning: str


def _flag(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, bool)


def _seconds(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _texts(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _one_of(*choices: object) -> Check:
    return lambda value: not isinstance(value, bool) and value in choices


def _by_prefix(fits: Check) -> Check:
    def check(value: Any) -> bool:  # noqa: ANN401
        if not isinstance(value, dict):
            return False
        return all(prefix.startswith("/") and fits(item) for prefix, item in value.items())

    return check


def _outage(value: Any) -> bool:  # noqa: ANN401
    status = isinstance(value, int) and not isinstance(value, bool) and 300 <= value <= 599
    return status or value in ("html", "hang", "reset")


def _members(value: Any, **kinds: type) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and all(
        name in kinds and isinstance(item, kinds[name]) and not isinstance(item, bool) for name, item in value.items()
    )


def _token_error(value: Any) -> bool:  # noqa: ANN401
    kinds = {
        "error": str,
        "error_subtype": str,
        "error_description": str,
        "status": int,
        "times": int,
        "grant_type": str,
    }
    return _members(value, **kinds) and "error" in value


def _rate_limit(value: Any) -> bool:  # noqa: ANN401
    return value is None or _seconds(value) or _limit_in_full(value)


def _limit_in_full(value: Any) -> bool:  # noqa: ANN401
    fits = _members(value, retry_after=int, envelope=str, status=int)
    return fits and value.get("envelope", "errors") in ("errors", "details")


KNOWN: Mapping[str, Known] = {
    "no_refresh_token": Known(_flag, "no token answer holds a refresh token"),
    "refresh_token_once": Known(
        _flag, "only the first consent of an account to a project, or a forced one, yields a refresh token"
    ),
    "refresh_token_expires_in": Known(_seconds, "time-based access: refresh tokens say when they end, and end then"),
    "rotate_refresh_tokens": Known(_flag, "each refresh spends the refresh token; a spent one kills its family"),
    "partial": Known(_texts, "these scopes are not granted, whatever the user ticks"),
    "extra_scopes": Known(_texts, "these scopes are granted although nobody asked"),
    "omit_scope": Known(_flag, "token answers do not say the scope"),
    "narrow_on_refresh": Known(_texts, "a refresh loses these scopes"),
    "widen_on_refresh": Known(_texts, "a refresh gains these scopes"),
    "expires_in": Known(_seconds, "seconds that new access tokens live"),
    "token_error": Known(
        _token_error,
        "the token endpoint answers error, error_subtype, error_description, status; for `times` calls"
        " or for all, of one grant_type or of any",
    ),
    "omit_iss": Known(_flag, "the callback has no iss"),
    "wrong_iss": Known(lambda value: _flag(value) or isinstance(value, str), "the callback has this iss, or another's"),
    "bad_id_token": Known(
        _one_of("alg_none", "wrong_aud", "wrong_nonce", "wrong_iss", "expired", "bad_signature", "missing"),
        "what is wrong with id_tokens",
    ),
    "other_sub_on_refresh": Known(_flag, "the id_token of a refresh is of another account"),
    "ignore_sources": Known(_flag, "People returns values of every source, whatever `sources` asks"),
    "expired_sync_token": Known(
        _one_of(400, 410, "FAILED_PRECONDITION", "INVALID_ARGUMENT"),
        "People has forgotten each sync token; 400 is FAILED_PRECONDITION",
    ),
    "calendar_gone": Known(
        _one_of("fullSyncRequired", "updatedMinTooLongAgo", "deleted"),
        "Calendar answers 410 wherever syncToken or updatedMin is sent",
    ),
    "outage": Known(_by_prefix(_outage), 'by path prefix: a status, "html", "hang" or "reset"'),
    "delay": Known(_by_prefix(_seconds), "by path prefix: seconds before the answer"),
    "rate_limit": Known(
        _by_prefix(_rate_limit),
        'by path prefix: Retry-After in seconds or null; or {"retry_after", "envelope": "errors"|"details", "status"}',
    ),
}


class BadQuirk(ValueError):
    """A quirk that is not known, or a value that it does not take; the text lists what is."""


def parsed(texts: Iterable[str]) -> dict[str, Any]:
    """Quirks from a command line: `NAME` is on, `NAME=VALUE` holds JSON, or else the bare text. Raises `BadQuirk`."""
    found = dict(_parsed(text) for text in texts)
    _check(found)
    return found


def _parsed(text: str) -> tuple[str, Any]:
    name, given, value = text.partition("=")
    if not given:
        return name, True
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _check(quirks: Mapping[str, Any]) -> None:
    if unknown := sorted(quirks.keys() - KNOWN.keys()):
        raise BadQuirk(f"unknown quirk: {', '.join(unknown)}. Known: {', '.join(KNOWN)}")
    for name, value in quirks.items():
        if value is not None and not KNOWN[name].fits(value):
            raise BadQuirk(f"{name} does not take this value: {KNOWN[name].meaning}")


class Quirks:
    """The quirks that are on. Thread-safe; `lock` is the sandbox's one lock."""

    def __init__(self, lock: threading.RLock, at_start: Mapping[str, Any]) -> None:
        """Raises `BadQuirk`."""
        _check(at_start)
        self._changed = threading.Condition(lock)
        self._at_start = dict(at_start)
        self._on = dict(at_start)
        self._version = 0

    def get(self, name: str, otherwise: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """The value of a quirk, `otherwise` where it is off."""
        assert name in KNOWN, name  # noqa: S101 - a slip of ours
        with self._changed:
            return self._on.get(name, otherwise)

    def for_path(self, name: str, path: str) -> tuple[Any] | None:
        """The value of the longest prefix that fits `path`, in a tuple since the value may be None."""
        by_prefix = self.get(name, {})
        fitting = [prefix for prefix in by_prefix if path.startswith(prefix)]
        return (by_prefix[max(fitting, key=len)],) if fitting else None

    def merge(self, quirks: Mapping[str, Any]) -> dict[str, Any]:
        """Switch quirks on, or with None or False off; gives all that are on. Raises `BadQuirk`."""
        _check(quirks)
        with self._changed:
            merged = {**self._on, **quirks}
            self._replace({name: value for name, value in merged.items() if value not in (None, False)})
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
        """The error that this call of the token endpoint ends with; counts it against `times`."""
        with self._changed:
            error = self._on.get("token_error")
            if error is None or error.get("grant_type", grant_type) != grant_type:
                return None
            if (left := error.get("times")) is not None:
                self._on["token_error"] = {**error, "times": left - 1}
                if left <= 1:
                    del self._on["token_error"]
            return dict(error)

    def wait_for_change(self, seconds: float) -> None:
        """Wait until the quirks change, at most `seconds`: how an answer hangs."""
        with self._changed:
            before = self._version
            self._changed.wait_for(lambda: self._version != before, timeout=seconds)

    def _replace(self, quirks: dict[str, Any]) -> None:
        self._on = quirks
        self._version += 1
        self._changed.notify_all()
