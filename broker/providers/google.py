"""Google. https://developers.google.com/identity/protocols/oauth2/web-server (2026-11, docs/facts/google.md §1)

Departures: one authorization covers everything the user ever granted to the Cloud project, and one revocation
ends it all (§1.6, §1.7); refresh tokens come only at the first consent or when consent is forced (§1.4), and do
not rotate; short scope names come back in full; errors of the APIs come in two envelopes (§5.8).
"""

from collections.abc import Mapping
from functools import cache

from broker.config import DAILY_LOOK
from broker.endpoints import Endpoints
from broker.errors import OperationDenied
from broker.operations import Catalog, Operation, archived, load
from broker.providers.base import BUDGETS, AuthorizationHints, Provider, Verdict
from broker.providers.data import analytics, business_profile, calendar, gmail, people, sheets
from broker.providers.data.googleapis import AUTH, dicts
from broker.providers.line import Line

ALIASES = {"email": f"{AUTH}userinfo.email", "profile": f"{AUTH}userinfo.profile"}

ENDPOINTS = Endpoints(
    issuers=("https://accounts.google.com", "accounts.google.com"),
    authorization="https://accounts.google.com/o/oauth2/v2/auth",
    token="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
    jwks="https://www.googleapis.com/oauth2/v3/certs",
    revocation="https://oauth2.googleapis.com/revoke",
    userinfo="https://openidconnect.googleapis.com/v1/userinfo",
)

RATE_REASONS = {
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "quotaExceeded",
    "dailyLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
}
APP_REASONS = {"dailyLimitExceeded", "quotaExceeded"}
USER_REASONS = {"userRateLimitExceeded"}
"""Of a limit: whether it is the project's; one that does not say is taken as the account's."""
SCOPE_REASONS = {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions", "insufficientScopes"}
SETUP_REASONS = {
    "accessNotConfigured",
    "SERVICE_DISABLED",
    "DISALLOWED_OAUTH_SCOPES",
    "domainPolicy",
    "admin_policy_enforced",
}
ASSET_REASONS = {"appNotAuthorizedToFile"}
"""Rule R1: the user has not opened this file for the app, or no longer."""
PLACE_REASONS = {"EXPIRED_SYNC_TOKEN", "fullSyncRequired", "updatedMinTooLongAgo"}


RESOURCES = (
    people.Contacts(),
    people.OtherContacts(),
    calendar.Events(),
    calendar.CalendarList(),
    gmail.MessageIds(),
    gmail.Messages(),
    sheets.Spreadsheets(),
    sheets.Rows(),
    analytics.Properties(),
    analytics.Report(),
    business_profile.Locations(),
    business_profile.Performance(),
)
ARCHIVE = "google.zip"
VERSIONS = {
    "people": "v1",
    "calendar": "v3",
    "gmail": "v1",
    "drive": "v3",
    "sheets": "v4",
    "analyticsadmin": "v1beta",
    "analyticsdata": "v1beta",
    "mybusinessbusinessinformation": "v1",
    "businessprofileperformance": "v1",
}
"""API → the version that is meant where an id names none, as `people.people.get` does. Of the others it is the only one
that there is; of several one must be named: `tasks:v1.tasks.list`, as Google writes it."""


def table(operation_id: str) -> Catalog:
    """The one that has an operation; read when the first of its API is asked for, and kept.

    Raises `OperationDenied` for an API of which nothing is listed.
    """
    api, version = _meant(operation_id)
    return _loaded(api, version, f"{api}:{version}" if ":" in operation_id else api)


def versioned(operation_id: str) -> str:
    """The id with the version that is meant by it. Raises `OperationDenied` as `table` does."""
    api, version = _meant(operation_id)
    return operation_id if ":" in operation_id else f"{api}:{version}.{operation_id.partition('.')[2]}"


def _meant(operation_id: str) -> tuple[str, str]:
    """API and version."""
    api, _, rest = operation_id.partition(":")
    if rest:
        named = [version for version in _versions().get(api, ()) if rest.startswith(f"{version}.")]
    else:
        api = operation_id.partition(".")[0]
        there = _versions().get(api, ())
        named = [VERSIONS[api]] if VERSIONS.get(api) in there else [*there] if len(there) == 1 else []
    if not named:
        raise OperationDenied("No such operation is listed.")
    return api, max(named, key=len)


@cache
def _versions() -> Mapping[str, tuple[str, ...]]:
    """API → versions of it that are listed."""
    found: dict[str, tuple[str, ...]] = {}
    for name in archived(ARCHIVE):
        api, _, version = name.partition(".")
        found[api] = (*found.get(api, ()), version)
    return found


@cache
def _loaded(api: str, version: str, ids: str) -> Catalog:
    return load(f"{api}.{version}", archive=ARCHIVE, api=ids)


class Google(Provider):
    kind = name = "google"
    title = "Google"
    options = (*BUDGETS, DAILY_LOOK)
    needs_refresh_token = True
    accumulates_grants = True
    rotates_refresh_tokens = False
    one_revocation_ends_all = True
    authenticates_revocation = False
    settings_url = "https://myaccount.google.com/permissions"
    settings_path = "Google Account > Security > Your connections to third-party apps & services"
    endpoints = ENDPOINTS
    hooks = ("events",)
    resources = {resource.name: resource for resource in RESOURCES}

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:  # noqa: ARG002
        return table(operation_id).operation(operation_id)

    def authorize_parameters(self, hints: AuthorizationHints, line: Line) -> dict[str, str]:  # noqa: ARG002
        """§1.2. Consent is forced only when no live refresh token is held: each forced consent mints one (§1.8)."""
        prompts = ["select_account"] if not hints.account_id else []
        prompts += ["consent"] if hints.force_consent else []
        parameters = {"access_type": "offline", "include_granted_scopes": "true"}
        if prompts:
            parameters["prompt"] = " ".join(prompts)
        if hint := hints.account_id or hints.login_hint:
            parameters["login_hint"] = hint
        return parameters

    def normalised(self, scopes: frozenset[str]) -> frozenset[str]:
        """§1.4: `email` and `profile` come back under their full names."""
        return frozenset(ALIASES.get(scope, scope) for scope in scopes)

    def verdict(self, status: int, body: object, retry_after: int) -> Verdict:
        """§5.8, in its order: by reason and status; by a message only where nothing else says it (rule P2)."""
        reasons = _reasons(body)
        if reasons & PLACE_REASONS and status in (400, 410):
            return Verdict("place_lost")
        if status == 401:
            return Verdict("token")
        if status == 429 or (status == 403 and reasons & RATE_REASONS):
            return Verdict("rate", retry_after, app_wide=bool(reasons & APP_REASONS) and not reasons & USER_REASONS)
        if reasons & ASSET_REASONS:
            return Verdict("asset")
        if status == 403:
            return Verdict("scope" if reasons & SCOPE_REASONS else "setup")
        return Verdict("gone") if status in (404, 410) else super().verdict(status, body, retry_after)


def _reasons(body: object) -> set[str]:
    """Reasons of both envelopes: `errors[].reason` and `details[].reason`, with `status` and usage domains."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return set()
    entries = [*dicts(error.get("errors")), *dicts(error.get("details"))]
    found = {str(entry.get("reason")) for entry in entries}
    found |= {
        "rateLimitExceeded"
        for entry in entries
        if entry.get("domain") == "usageLimits" and entry.get("reason") not in SETUP_REASONS
    }
    if "requires one of the following scopes" in str(error.get("message")):
        found.add("insufficientScopes")
    return found | {str(error.get("status"))}


PROVIDER = Google()
