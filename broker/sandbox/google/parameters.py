"""Parameters of a data call: which are known, numbers within bounds, and a page of a collection."""

import re
from collections.abc import Callable

from flask import request

from broker.sandbox.google.envelopes import ApiError, invalid_argument
from broker.sandbox.google.state import google
from broker.sandbox.listing import (
    Answered,
    Asked,
    Collection,
    Item,
    Order,
    ParametersDiffer,
    SyncTokenExpired,
    TokenUnknown,
)

SYSTEM = {"alt", "prettyPrint", "quotaUser", "key", "fields", "$.xgafv"}
"""Parameters of every Google API."""

Refuse = Callable[[str], ApiError]


def only(known: set[str], refuse: Refuse = invalid_argument) -> None:
    """Raises `ApiError` for a parameter that the method does not have."""
    if unknown := sorted(request.args.keys() - known - SYSTEM):
        raise refuse(f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot bind query parameter.')


def number(name: str, *, default: int, most: int, cut: bool = False, refuse: Refuse = invalid_argument) -> int:
    """From 1 to `most`; what is more is refused, or with `cut` taken as the most. Raises `ApiError`."""
    text = request.args.get(name, str(default))
    found = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else 0
    if found < 1 or (found > most and not cut):
        raise refuse(f"Invalid value for {name}: it is a number from 1 to {most}.")
    return min(found, most)


def flag(name: str, refuse: Refuse = invalid_argument) -> bool:
    """False where it is missing. Raises `ApiError`."""
    text = request.args.get(name, "false").lower()
    if text not in ("true", "false"):
        raise refuse(f"Invalid value at '{name}' (TYPE_BOOL), {text!r}")
    return text == "true"


def page(
    collection: Collection,
    size: int,
    same: set[str],
    wanted: Callable[[Item], bool],
    order: Order | None = None,
    refuse: Refuse = invalid_argument,
) -> Answered:
    """The page that `pageToken` asks for. `same`: parameters that stay from page to page. Raises `ApiError`."""
    parameters = {name: tuple(request.args.getlist(name)) for name in same & request.args.keys()}
    try:
        asked = Asked(parameters, size, request.args.get("pageToken"))
        return google().listings.answer(collection, asked, wanted, order)
    except (TokenUnknown, SyncTokenExpired):
        raise refuse("Invalid pageToken") from None
    except ParametersDiffer:
        raise refuse("Request parameters must match those of the first call.") from None


def following(answered: Answered) -> dict[str, str]:
    """The token of the next page, absent on the last."""
    return {"nextPageToken": answered.next_page_token} if answered.next_page_token else {}
