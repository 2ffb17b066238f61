"""What a test can make the fake Facebook do wrong, or do as Facebook does it only at times."""

from collections.abc import Mapping
from typing import Any

from broker.sandbox.graph import GRAPH_WIRE
from broker.sandbox.quirks import WIRE, Known, flag, members, one_of, texts


def _code(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, int) and not isinstance(value, bool)


def _anything(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float | str | list) and not isinstance(value, bool)


def _lifetimes(value: Any) -> bool:  # noqa: ANN401
    return members(value, short=int, long=int)


def _callback_error(value: Any) -> bool:  # noqa: ANN401
    return members(value, error_code=int, error_message=str) and "error_code" in value


def _percent(value: Any) -> bool:  # noqa: ANN401
    return _code(value) and 0 <= value <= 1000


DIALOG: Mapping[str, Known] = {
    "partial": Known(texts, ["pages_read_engagement"], "these permissions are declined, whatever the person ticks"),
    "extra_scopes": Known(texts, ["ads_read"], "these permissions are granted although nobody asked"),
    "allowed_scopes": Known(
        texts,
        ["email", "pages_show_list"],
        "only these permissions are enabled for the app, beside public_profile; one other ends the whole dialog (H17)",
    ),
    "straight_through": Known(
        flag, True, "where nothing has to be asked of who used the dialog last, the browser goes back without a page"
    ),
    "callback_error": Known(
        _callback_error,
        {"error_code": 1349126, "error_message": "App Not Set Up"},
        "the dialog comes back in the second error form, without `error` (§1.2)",
    ),
    "code_with_suffix": Known(flag, True, "`#_=_` stands in the code itself, as where an address was pasted (§1.2)"),
    "no_fragment": Known(flag, True, "the callback has no `#_=_` behind it"),
}

TOKENS: Mapping[str, Known] = {
    "expires_in": Known(
        _anything, 9999999999999, "what token answers say of their end, however absurd; `absent` leaves it out"
    ),
    "token_lifetime": Known(
        _lifetimes, {"short": 60, "long": 3600}, "seconds that new user tokens really live, short-lived or long-lived"
    ),
    "second_exchange_keeps_end": Known(
        flag, True, "fb_exchange_token of a long-lived token does not move its end (§10)"
    ),
    "token_form_encoded": Known(flag, True, "token answers are forms under text/plain, as of old (§1.3)"),
    "require_app_secret": Known(flag, True, "calls without appsecret_proof fail, as the setting has it (§1.11)"),
    "numeric_ids": Known(flag, True, "debug_token gives app_id and user_id as numbers (§1.8)"),
    "other_app": Known(flag, True, "debug_token says that the token is of another app"),
    "granular_scopes": Known(
        one_of("empty", "absent"),
        "empty",
        "debug_token has an empty list for what is not limited (`empty`), or no granular_scopes at all (`absent`)",
    ),
}

DATA: Mapping[str, Known] = {
    "success_object": Known(flag, True, 'deletes answer `{"success": true}` instead of `true` (§1.10)'),
    "delete_fails": Known(flag, True, "deleting permissions answers `false` and changes nothing"),
    "empty_accounts": Known(flag, True, "/me/accounts is empty, as for who has Pages by a business portfolio (H1)"),
    "late_email": Known(flag, True, "`email` is absent although granted (H7)"),
    "permission_error": Known(
        _code, 200, "the code with which a missing permission is refused: 3, 10, or 200 to 299 (§6.1)"
    ),
    "page_token_error": Known(
        _code, 190, "the code with which a user token is refused where a Page token is needed; else it is 210"
    ),
    "leads_without_ads": Known(
        flag, True, "leads open without ads_management, and their ad fields are absent then (§4.1)"
    ),
    "pages": Known(
        one_of("half", "empty"), "empty", "the first page of each list holds half of it or nothing, and has a next one"
    ),
    "too_much_data": Known(
        _code, 50, "a list of more than so many ends with code 1 and HTTP 500: reduce the amount of data (§6.1)"
    ),
    "usage": Known(_percent, 85, "percent used, as the usage headers tell it"),
}

KNOWN: Mapping[str, Known] = {**DIALOG, **TOKENS, **DATA, **WIRE, **GRAPH_WIRE}
