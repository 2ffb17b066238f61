"""What a test can make the fake Google do wrong, or do as Google does it only at times."""

from collections.abc import Mapping
from typing import Any

from broker.sandbox.quirks import WIRE, Known, by_prefix, flag, members, one_of, seconds, texts

FORBIDDEN = (
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "insufficientPermissions",
    "insufficientScopes",
    "requires_one_of",
    "SERVICE_DISABLED",
    "accessNotConfigured",
    "domainPolicy",
    "DISALLOWED_OAUTH_SCOPES",
    "no_reason",
)
"""Refusals with 403 (docs/facts/google.md §5.8); a name in capitals comes in `details[]`, another in `errors[]`."""

CONTACTS = "https://www.googleapis.com/auth/contacts.readonly"
EVENTS = "https://www.googleapis.com/auth/calendar.events.readonly"


def _token_error(value: Any) -> bool:  # noqa: ANN401 - any JSON
    kinds = {
        **dict.fromkeys(("error", "error_subtype", "error_description", "grant_type"), str),
        **dict.fromkeys(("status", "times"), int),
    }
    return members(value, **kinds) and "error" in value


CONSENT: Mapping[str, Known] = {
    "partial": Known(texts, [EVENTS], "these scopes are not granted, whatever the user ticks"),
    "extra_scopes": Known(texts, [EVENTS], "these scopes are granted although nobody asked"),
    "straight_through": Known(
        flag, True, "where nothing has to be asked, the browser goes back without a page, as with one session at Google"
    ),
    "lone_consent_ends_others": Known(
        flag, True, "a consent without include_granted_scopes ends the project's older tokens (§1.6, reported once)"
    ),
    "omit_iss": Known(flag, True, "the callback has no iss"),
    "wrong_iss": Known(
        lambda value: flag(value) or isinstance(value, str), True, "the callback has this iss, or with true another's"
    ),
    "short_scopes": Known(flag, True, "callback and token answers say `email` and `profile` for the full names"),
}

TOKENS: Mapping[str, Known] = {
    "no_refresh_token": Known(flag, True, "no token answer holds a refresh token"),
    "refresh_token_once": Known(
        flag, True, "only the first consent of an account to a project, or a forced one, yields a refresh token"
    ),
    "refresh_token_expires_in": Known(
        seconds, 3600, "time-based access: refresh tokens say when they end, and end then"
    ),
    "testing_status": Known(
        flag, True, "refresh tokens end after 7 days without saying so, unless all scopes are for signing in"
    ),
    "rotate_refresh_tokens": Known(flag, True, "each refresh spends the refresh token; a spent one kills its family"),
    "omit_scope": Known(flag, True, "token answers do not say the scope"),
    "narrow_on_refresh": Known(texts, [EVENTS], "a refresh loses these scopes"),
    "widen_on_refresh": Known(texts, [EVENTS], "a refresh gains these scopes"),
    "ignore_scope_on_refresh": Known(flag, True, "a refresh that asks for less gets all the same (§8)"),
    "expires_in": Known(seconds, 5, "seconds that new access tokens live"),
    "revocation_lag": Known(seconds, 30, "seconds for which access tokens outlive a revocation (§1.7)"),
    "token_error": Known(
        _token_error,
        {"error": "invalid_grant", "error_subtype": "invalid_rapt", "times": 1, "grant_type": "refresh_token"},
        "the token endpoint answers error, error_subtype, error_description, status; for `times` calls or for all, of "
        "one grant_type or of any",
    ),
}

IDENTITY: Mapping[str, Known] = {
    "bad_id_token": Known(
        one_of("alg_none", "wrong_aud", "wrong_nonce", "wrong_iss", "expired", "bad_signature", "missing"),
        "wrong_nonce",
        "what is wrong with id_tokens: `alg_none`, `wrong_aud`, `wrong_nonce`, `wrong_iss`, `expired`, `bad_signature` "
        "or `missing`",
    ),
    "bad_at_hash": Known(flag, True, "the id_token's at_hash is of another access token"),
    "iss_without_scheme": Known(flag, True, "id_tokens have the issuer `accounts.google.com`, which is right too"),
    "email_verified_as_text": Known(flag, True, "email_verified is the text `true`"),
    "other_sub_on_refresh": Known(flag, True, "the id_token of a refresh is of another account"),
}

DATA: Mapping[str, Known] = {
    "unauthorized": Known(
        by_prefix(flag), {"/v1/people": {"value": True, "times": 1}}, "by path prefix: 401, however good the token"
    ),
    "forbidden": Known(
        by_prefix(one_of(*FORBIDDEN)),
        {"/v1/people": "SERVICE_DISABLED"},
        "by path prefix: 403 for this reason, whatever the token holds: "
        + ", ".join(f"`{name}`" for name in FORBIDDEN),
    ),
    "ignore_sources": Known(
        flag, True, "People returns values of every source, whatever `sources` asks and the scopes open"
    ),
    "expired_sync_token": Known(
        one_of(400, 410, "FAILED_PRECONDITION", "INVALID_ARGUMENT"),
        400,
        "People has forgotten each sync token: 400 or 410, or 400 with this status; else it is FAILED_PRECONDITION",
    ),
    "calendar_gone": Known(
        one_of("fullSyncRequired", "updatedMinTooLongAgo", "deleted"),
        "fullSyncRequired",
        "Calendar answers 410 for this reason wherever syncToken or updatedMin is sent",
    ),
    "history_gone": Known(flag, True, "Gmail has forgotten each history id: 404, however new it is (§5.4)"),
    "unpicked_is_forbidden": Known(
        flag, True, "Sheets answers 403 `appNotAuthorizedToFile` for a file that was not picked, instead of 404 (R1)"
    ),
    "no_quota": Known(flag, True, "the project is not approved for Business Profile: each call answers 429 (§5.7)"),
    "empty_pages": Known(flag, True, "the first page of each reading of Calendar is empty, yet has a next one (§5.3)"),
}

KNOWN: Mapping[str, Known] = {**CONSENT, **TOKENS, **IDENTITY, **DATA, **WIRE}
