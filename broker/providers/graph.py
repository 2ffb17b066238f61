"""What Facebook's and Instagram's Graph APIs have in common: the error body and the usage headers.

https://developers.facebook.com/docs/graph-api/guides/error-handling (2026-11, docs/facts/meta.md §6.1, §6.2). Errors
are told apart by their numbers, never by a text or by the HTTP status alone: throttling comes with 400.
"""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from broker import strict_json
from broker.errors import ProviderUnavailable, RateLimited
from broker.providers.base import Fate, Usage, Verdict
from broker.upstream import Answer, TokenRefused, retry_after

TOKEN = frozenset({190, 102})
REMOVED = frozenset({458})
"""The user removed the app."""
PAUSED = frozenset({459, 464})
"""A checkpoint, or an account that was not confirmed: its owner must act there."""
NO_ROLE = frozenset({492})
"""The user lost the role on one Page."""
PASSING = frozenset({1, 2, 341})
TOO_MUCH = frozenset({1})
"""With HTTP 500: perhaps the answer would be too large."""
THROTTLED = frozenset({4, 17, 32, 613, *range(80_000, 80_007), 80_008, 80_009, 80_014})
OF_APP = frozenset({4})
"""Of these the limit of the whole app; the others are of a user, a Page or an account."""
BLOCKED = frozenset({368})
"""For a breach of policy: for long."""
LONG, USUAL_WAIT = 3600, 60
"""Seconds."""
MISSING = (100, 33)
"""Code and subcode of what is not there, or not to be seen."""
PARTS = ("call_count", "total_time", "total_cputime", "acc_id_util_pct")
"""Percent of a limit."""
USAGE = ("x-app-usage", "x-business-use-case-usage", "x-ad-account-usage")


def refusal(body: object) -> TokenRefused | None:
    """The numbers of an error body; None where it is none. What debug_token says of a token calls the subcode otherwise
    (docs/facts/meta.md §1.8)."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    subcode = error.get("error_subcode", error.get("subcode"))
    return TokenRefused("unknown", code=_number(error.get("code")), subcode=_number(subcode))


def fate(refused: TokenRefused) -> Fate:
    """What a refusal of the connection's own token means for it (docs/facts/meta.md §6.1)."""
    if refused.code not in TOKEN or refused.subcode in NO_ROLE:
        return "passing"
    if refused.subcode in REMOVED:
        return "removed"
    return "paused" if refused.subcode in PAUSED else "dead"


def verdict(status: int, body: object, wait: int) -> Verdict | None:
    """What an error body means for a data call; None where there is none, and the status says it."""
    refused = refusal(body)
    if refused is None or refused.code is None:
        return None
    code, subcode = refused.code, refused.subcode
    if code in TOKEN:
        return Verdict("asset") if subcode in NO_ROLE else Verdict("token", refusal=refused)
    if code in THROTTLED:
        return Verdict("rate", wait, app_wide=code in OF_APP)
    if code in BLOCKED:
        return Verdict("blocked", LONG, app_wide=True)
    if code in PASSING or _is_transient(body) or status >= 500:
        return Verdict("server", too_much=code in TOO_MUCH and status == HTTPStatus.INTERNAL_SERVER_ERROR)
    if code in (3, 10) or 200 <= code <= 299:
        return Verdict("scope")
    if (code, subcode) == MISSING:
        return Verdict("gone")
    return Verdict("place_lost" if code == 100 and subcode is None else "refused")


def answered(answer: Answer) -> Mapping[str, Any]:
    """The JSON object of a call of the broker's own. Raises `TokenRefused`, `RateLimited`, `ProviderUnavailable`."""
    body = answer.lenient()
    if answer.status == 200 and isinstance(body, dict) and "error" not in body:
        return body
    raise failure(answer, body)


def failure(answer: Answer, body: object) -> Exception:
    """An error answer as what it is: a refusal, a limit, or an outage."""
    found = verdict(answer.status, body, wait(answer))
    refused = refusal(body)
    if answer.status == 429 or (found and found.kind in ("rate", "blocked")):
        return RateLimited("The provider asks to be left alone for a while.", retry_after=wait(answer))
    if refused is None or (found and found.kind == "server"):
        return ProviderUnavailable(f"The provider answered with status {answer.status}.")
    return refused


def passing(refused: TokenRefused) -> Exception:
    """A refusal by a token endpoint as what it is: only a token or a request that was refused stays one."""
    if refused.code in THROTTLED | BLOCKED:
        wait = LONG if refused.code in BLOCKED else USUAL_WAIT
        return RateLimited("The provider asks to be left alone for a while.", retry_after=wait)
    if refused.code in PASSING:
        return ProviderUnavailable("The provider's token endpoint failed for the moment.")
    return refused


def usage(answer: Answer) -> Usage | None:
    """The fullest of what the headers say (§6.2); `X-App-Usage` is of the app, the others of what was read."""
    found = []
    for name in USAGE:
        entries = _entries(answer.headers.get(name, ""))
        full = max((_positive(entry.get(part)) for entry in entries for part in PARTS), default=0.0)
        found.append(Usage(full, max(map(_seconds, entries), default=0), app_wide=name == USAGE[0]))
    fullest = max(found, key=lambda one: one.percent)
    return fullest if fullest.percent else None


def wait(answer: Answer) -> int:
    """Seconds to leave the provider alone: as the usage headers say it, in minutes or seconds, else `Retry-After`."""
    stated = [seconds for name in USAGE for seconds in _waits(answer.headers.get(name, ""))]
    return min(max(stated), LONG) if stated else retry_after(answer)


def _waits(header: str) -> list[int]:
    return [seconds for entry in _entries(header) if (seconds := _seconds(entry))]


def _entries(header: str) -> list[Mapping[str, Any]]:
    """What a usage header holds: one object, or lists of them by the id of what was read."""
    try:
        found = strict_json.parse(header.encode()) if header else None
    except ValueError:
        return []
    if not isinstance(found, dict):
        return []
    listed = [entry for value in found.values() if isinstance(value, list) for entry in value]
    return [found, *(entry for entry in listed if isinstance(entry, dict))]


def _seconds(entry: Mapping[str, Any]) -> int:
    minutes, seconds = entry.get("estimated_time_to_regain_access"), entry.get("reset_time_duration")
    found = max(_positive(minutes) * 60, _positive(seconds))
    return math.ceil(min(found, LONG))


def _positive(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0.0


def _is_transient(body: object) -> bool:
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and error.get("is_transient") is True


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


VERSIONS = {
    "v19.0": date(2026, 5, 21),
    "v20.0": date(2026, 9, 24),
    "v21.0": date(2027, 1, 21),
    "v22.0": date(2027, 5, 20),
    "v23.0": date(2027, 10, 8),
    "v24.0": date(2028, 2, 18),
    "v25.0": date(2028, 7, 29),
    "v26.0": None,
}
"""Graph version → when it ends; None: not announced (docs/facts/meta.md §1.5)."""
SOON = timedelta(days=180)


def sunset(setting: str, version: str, now: datetime) -> list[str]:
    """What the operator should know about the version in use."""
    newest = max(VERSIONS, key=_order)
    if version not in VERSIONS:
        older = _order(version) < min(map(_order, VERSIONS))
        return [f"{setting} is {version}, which has ended: set {newest}"] if older else []
    ends = VERSIONS[version]
    if ends is None or now.date() + SOON < ends:
        return []
    return [f"{setting} is {version}, which {'ended' if ends <= now.date() else 'ends'} on {ends}: set {newest}"]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def identity(value: object) -> str:
    """An id as the text it is: numbers beyond 2^53 come as either. Raises `ProviderUnavailable` where it is none."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"[0-9]{1,64}", text):
        raise ProviderUnavailable("The provider did not say whose the token is.", retryable=False)
    return text


@contextmanager
def refusals() -> Iterator[None]:
    """A token endpoint's refusal that may pass, as the limit or the outage that it is."""
    try:
        yield
    except TokenRefused as refused:
        raise passing(refused) from None


def renewal(
    obtained_at: datetime,
    expires_at: datetime | None,
    window: tuple[float, float],
    spread: float,
    youngest: timedelta,
) -> datetime | None:
    """A time within the window, given in parts of the token's life; never before it is old enough."""
    if expires_at is None:
        return None
    first, last = window
    return max(obtained_at + (expires_at - obtained_at) * (first + (last - first) * spread), obtained_at + youngest)
