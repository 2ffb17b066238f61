"""Google. https://developers.google.com/identity/protocols/oauth2/web-server (2026-11, docs/facts/google.md §1)

Departures: one authorization covers everything the user ever granted to the Cloud project, and one revocation
ends it all (§1.6, §1.7); refresh tokens come only at the first consent or when consent is forced (§1.4), and do
not rotate; short scope names come back in full; errors of the APIs come in two envelopes (§5.8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from broker.endpoints import Endpoints
from broker.operations import Catalog, Operation, load
from broker.providers.base import AuthorizationHints, Provider, Verdict
from broker.providers.line import Line
from broker.providers.resource import Listing, Place, Resource, Values

AUTH = "https://www.googleapis.com/auth/"
ALIASES = {"email": f"{AUTH}userinfo.email", "profile": f"{AUTH}userinfo.profile"}

CONTACTS = (f"{AUTH}contacts.readonly", f"{AUTH}contacts")
EVENTS = tuple(
    AUTH + name
    for name in (
        "calendar.events.readonly",
        "calendar.events",
        "calendar.readonly",
        "calendar",
    )
)
BUSY = (f"{AUTH}calendar.events.freebusy", *EVENTS)
CALENDAR_LIST = tuple(
    AUTH + name for name in ("calendar.calendarlist.readonly", "calendar.calendarlist", "calendar.readonly", "calendar")
)

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
PLACE_REASONS = {"EXPIRED_SYNC_TOKEN", "fullSyncRequired", "updatedMinTooLongAgo"}


def _texts(answer: Mapping[str, Any], name: str) -> str | None:
    value = answer.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value or None


def _items(answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = answer.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"{name} is not a list of records")
    return items


def _listing(answer: Mapping[str, Any], items: str, place: Place) -> Listing:
    """Both APIs end a page with `nextPageToken`, and a reading with `nextSyncToken` (§5.2, §5.3)."""
    page, changes = _texts(answer, "nextPageToken"), _texts(answer, "nextSyncToken")
    if page:
        return Listing(_items(answer, items), replace(place, page=page), has_more=True)
    following = replace(place, page=None, changes=changes) if changes else None
    return Listing(_items(answer, items), following, has_more=False)


class Contacts(Resource):
    """The user's own contacts, people/me/connections (§5.2, rules P1–P9)."""

    name = "contacts"
    operation = "people.people.connections.list"
    identity = "resourceName"
    fields = {
        name: CONTACTS
        for name in (
            "metadata",
            "names",
            "emailAddresses",
            "phoneNumbers",
            "organizations",
            "addresses",
            "birthdays",
            "urls",
        )
    }
    titles = {
        "metadata": {"en": "whether a contact was deleted", "id": "apakah sebuah kontak dihapus"},
        "names": {"en": "names", "id": "nama"},
        "emailAddresses": {"en": "email addresses", "id": "alamat email"},
        "phoneNumbers": {"en": "phone numbers", "id": "nomor telepon"},
        "organizations": {"en": "companies and job titles", "id": "perusahaan dan jabatan"},
        "addresses": {"en": "postal addresses", "id": "alamat pos"},
        "birthdays": {"en": "birthdays", "id": "tanggal lahir"},
        "urls": {"en": "web addresses", "id": "alamat situs web"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        """With a page or sync token all other parameters must equal the first call's (§5.2), the page size too."""
        values: Values = {
            "resourceName": "people/me",
            "personFields": ",".join(sorted(fields)),
            "sources": "READ_SOURCE_TYPE_CONTACT",
            "pageSize": str(limit),
            "requestSyncToken": "true",
        }
        if place and place.changes:
            values["syncToken"] = place.changes
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return _listing(answer, "connections", place)

    def visible(self, raw: dict[str, Any], scopes: frozenset[str]) -> dict[str, Any]:  # noqa: ARG002
        """Rule P8: a contacts scope opens values whose source is CONTACT. A value from another source is dropped,
        and what names another source; one without a source came from the only source that was asked for."""
        known = {self.identity: raw.get(self.identity), "metadata": _of_contacts_alone(raw.get("metadata"))}
        return {name: known[name] if name in known else _from_contacts(value) for name, value in raw.items()}


def _from_contacts(values: object) -> list[dict[str, Any]]:
    return [value for value in _dicts(values) if _is_of_contacts(value)]


def _is_of_contacts(value: Mapping[str, Any]) -> bool:
    metadata = value.get("metadata", {})
    source = metadata.get("source", {"type": "CONTACT"}) if isinstance(metadata, dict) else None
    return isinstance(source, dict) and source.get("type") == "CONTACT"


def _of_contacts_alone(metadata: object) -> dict[str, Any]:
    """A person's metadata list the sources that were merged, with the ids of a profile and of a directory entry."""
    kept = dict(metadata) if isinstance(metadata, dict) else {}
    if "sources" in kept:
        kept["sources"] = [source for source in _dicts(kept["sources"]) if source.get("type") == "CONTACT"]
    return kept


class Events(Resource):
    """Events of one calendar (§5.3, rules C1–C7)."""

    name = "events"
    operation = "calendar.events.list"
    identity = "id"
    asset_kind = "calendar"
    default_asset = "primary"
    fields = {
        **dict.fromkeys(("status", "start", "end", "transparency", "recurringEventId"), BUSY),
        **dict.fromkeys(
            (
                "summary",
                "description",
                "location",
                "attendees",
                "organizer",
                "updated",
                "recurrence",
                "visibility",
            ),
            EVENTS,
        ),
    }
    titles = {
        "status": {
            "en": "whether an event stands or was cancelled",
            "id": "apakah acara berlaku atau dibatalkan",
        },
        "start": {"en": "start", "id": "waktu mulai"},
        "end": {"en": "end", "id": "waktu selesai"},
        "transparency": {"en": "free or busy", "id": "luang atau sibuk"},
        "recurringEventId": {"en": "the series it belongs to", "id": "rangkaian acaranya"},
        "summary": {"en": "title", "id": "judul"},
        "description": {"en": "description", "id": "deskripsi"},
        "location": {"en": "place", "id": "tempat"},
        "attendees": {"en": "guests", "id": "tamu"},
        "organizer": {"en": "organizer", "id": "penyelenggara"},
        "updated": {"en": "last change", "id": "perubahan terakhir"},
        "recurrence": {"en": "how often it repeats", "id": "seberapa sering berulang"},
        "visibility": {"en": "whether it is private", "id": "apakah bersifat pribadi"},
    }

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        """Nothing but the page size beside the tokens: a sync token forbids most other parameters (§5.3). Without an
        asset the operation is denied: it needs its calendar (rule C7)."""
        values: Values = {"maxResults": str(limit)}
        if asset:
            values["calendarId"] = asset
        if place and place.changes:
            values["syncToken"] = place.changes
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return _listing(answer, "items", place)


class CalendarList(Resource):
    """The calendars the user sees: what may be chosen as an asset (rule C2)."""

    name = "calendars"
    operation = "calendar.calendarList.list"
    identity = "id"
    fields = dict.fromkeys(("summary", "primary", "accessRole"), CALENDAR_LIST)
    titles = {
        "summary": {"en": "names of your calendars", "id": "nama kalender Anda"},
        "primary": {"en": "which one is your main calendar", "id": "kalender utama Anda"},
        "accessRole": {"en": "what you may do in them", "id": "hak Anda di dalamnya"},
    }

    def as_asset(self, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        """The main calendar by the name under which it is read without a choice; its id is the account's address."""
        identity, summary = raw.get("id"), raw.get("summary")
        if not isinstance(identity, str) or not identity:
            return None
        label = summary if isinstance(summary, str) and summary else identity
        return ("primary" if raw.get("primary") is True else identity), label[:200]

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:  # noqa: ARG002
        values: Values = {"maxResults": str(min(limit, 250))}
        if place and place.page:
            values["pageToken"] = place.page
        return values

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        return _listing(answer, "items", place)


class Google(Provider):
    kind = name = "google"
    title = "Google"
    needs_refresh_token = True
    accumulates_grants = True
    rotates_refresh_tokens = False
    one_revocation_ends_all = True
    authenticates_revocation = False
    settings_url = "https://myaccount.google.com/permissions"
    settings_path = "Google Account > Security > Your connections to third-party apps & services"
    endpoints = ENDPOINTS
    hooks = ("events",)
    resources = {resource.name: resource for resource in (Contacts(), Events(), CalendarList())}

    def __init__(self) -> None:
        self._catalog = Catalog.merged(load("people.v1"), load("calendar.v3"))

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:  # noqa: ARG002
        return self._catalog.operation(operation_id)

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
        if status == 403:
            return Verdict("scope" if reasons & SCOPE_REASONS else "setup")
        return Verdict("gone") if status in (404, 410) else super().verdict(status, body, retry_after)


def _reasons(body: object) -> set[str]:
    """Reasons of both envelopes: `errors[].reason` and `details[].reason`, with `status` and usage domains."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return set()
    entries = [*_dicts(error.get("errors")), *_dicts(error.get("details"))]
    found = {str(entry.get("reason")) for entry in entries}
    found |= {
        "rateLimitExceeded"
        for entry in entries
        if entry.get("domain") == "usageLimits" and entry.get("reason") not in SETUP_REASONS
    }
    if "requires one of the following scopes" in str(error.get("message")):
        found.add("insufficientScopes")
    return found | {str(error.get("status"))}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


PROVIDER = Google()
