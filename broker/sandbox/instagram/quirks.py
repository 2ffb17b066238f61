"""What a test can make the fake Instagram do wrong, or do as Instagram does it only at times."""

from collections.abc import Mapping
from typing import Any

from broker.sandbox.graph import GRAPH_WIRE
from broker.sandbox.instagram.permissions import COMMENTS, INSIGHTS
from broker.sandbox.quirks import WIRE, Known, flag, members, one_of, texts


def _code(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, int) and not isinstance(value, bool)


def _percent(value: Any) -> bool:  # noqa: ANN401
    return _code(value) and 0 <= value <= 1000


def _anything(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float | str | list) and not isinstance(value, bool)


def _lifetimes(value: Any) -> bool:  # noqa: ANN401
    return members(value, short=int, long=int)


def _callback(value: Any) -> bool:  # noqa: ANN401
    kinds = dict.fromkeys(("error", "error_reason", "error_description", "error_message"), str)
    return bool(value) and members(value, **kinds, error_code=int)


def _token_error(value: Any) -> bool:  # noqa: ANN401
    return members(value, error_message=str, code=int, times=int) and "error_message" in value


CONSENT: Mapping[str, Known] = {
    "partial": Known(texts, [INSIGHTS], "these permissions are not granted, whatever the user ticks"),
    "extra_scopes": Known(texts, [COMMENTS], "these permissions are granted although nobody asked"),
    "allowed_scopes": Known(
        texts,
        [COMMENTS, INSIGHTS],
        "only these permissions are enabled for the app, beside the basic one; one other ends the whole dialog (H17)",
    ),
    "authorize_moved": Known(
        flag, True, "without `force_reauth=true` the dialog is a page that is not available, with 404 (H14)"
    ),
    "code_suffix": Known(
        one_of("#_", "%23_"),
        "#_",
        "this stands behind the code as a part of its value, in place of the fragment: `#_` or `%23_`",
    ),
    "no_fragment": Known(flag, True, "the callback has no `#_` behind it"),
    "callback_error": Known(
        _callback,
        {"error_code": 1349187, "error_message": "App not active"},
        "the user allows and the callback has these members in place of a code: error, error_reason, "
        "error_description, error_code, error_message",
    ),
}

TOKENS: Mapping[str, Known] = {
    "token_answer": Known(
        one_of("wrapped", "flat_text", "flat_list"),
        "flat_list",
        "the code exchange answers in the documented form `wrapped`, or flat with user_id as a number and permissions "
        "as text (`flat_text`) or list (`flat_list`)",
    ),
    "professional_user_id": Known(
        flag, True, "the user_id of the code exchange is that of the professional account, not the app-scoped one"
    ),
    "omit_permissions": Known(flag, True, "the code exchange does not say the permissions"),
    "expires_in": Known(
        _anything,
        9999999999999,
        "what long-lived exchange and refresh say of the token's end, however absurd; `absent` leaves it out",
    ),
    "token_lifetime": Known(
        _lifetimes, {"short": 60, "long": 100000}, "seconds that new tokens really live, short-lived or long-lived"
    ),
    "refresh_keeps_token": Known(
        flag, True, "a refresh answers with the same token, which lives on, not with a new one (H18)"
    ),
    "token_error": Known(
        _token_error,
        {"error_message": "Try again", "code": 500, "times": 1},
        "the code exchange fails with this error_message and with code as its status too, 400 if left out; for `times` "
        "calls or for all",
    ),
}

DATA: Mapping[str, Known] = {
    "permission_error": Known(
        _code, 200, "the code with which a missing permission is refused: 3, 10, or 200 to 299 (§6.1)"
    ),
    "bare_true": Known(flag, True, 'deletes answer `true` instead of `{"success": true}` (§1.10)'),
    "pages": Known(
        one_of("half", "empty"), "empty", "the first page of each list holds half of it or nothing, and has a next one"
    ),
    "usage": Known(_percent, 85, "percent used, as the usage header tells it"),
    "delete_permissions": Known(
        flag, True, "`DELETE /me/permissions` ends the authorization; by itself it is unsupported (§3.2)"
    ),
}

KNOWN: Mapping[str, Known] = {**CONSENT, **TOKENS, **DATA, **WIRE, **GRAPH_WIRE}
