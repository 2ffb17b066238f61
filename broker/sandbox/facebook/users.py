"""People: `/me`, their permissions and their end, their Pages and portfolios (docs/facts/meta.md §1.9, §1.10, §4.1)."""

from typing import Any

from flask import Response, jsonify, request

from broker.sandbox.facebook.access import Caller, demand, impersonates
from broker.sandbox.facebook.pages import PAGE_FIELDS, page_shown
from broker.sandbox.facebook.permissions import OF_USER_FIELDS, PROFILE, ordered
from broker.sandbox.facebook.reading import edge, fields_of, flat
from broker.sandbox.facebook.seed import Page, Person, person_record, user_id
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import bad_parameter, not_found
from broker.sandbox.graph_fields import Field, shown
from broker.sandbox.graph_paging import Record, Series

USER_FIELDS = frozenset(
    {
        *("id", "name", "first_name", "last_name", "middle_name", "name_format", "short_name", "picture"),
        *OF_USER_FIELDS,
        *("accounts", "permissions", "client_business_id"),
    }
)
ACCOUNT_DEFAULT = ("access_token", "category", "category_list", "name", "id", "tasks")
"""Without `fields` the list hands out tokens (§1.6)."""


def user(found: Caller, person: Person) -> Response:
    """A field without its permission is silently absent."""
    if found.user.person != person.key:
        raise not_found(user_id(found.app.id, person.key))
    fields = fields_of(("id", "name"), USER_FIELDS, "User")
    record = person_record(person, found.app.id)
    if person.system:
        record = {name: record[name] for name in ("id", "name")} | {"client_business_id": person.business}
    opened = [field for field in fields if _opened(found, field.name)]
    return jsonify(shown(record, opened) | _edges(found, opened))


def _opened(found: Caller, field: str) -> bool:
    if field == "email" and facebook().quirks.get("late_email"):
        return False
    return field not in OF_USER_FIELDS or OF_USER_FIELDS[field] in found.grant.granted


def _edges(found: Caller, fields: list[Field]) -> Record:
    """Edges that stand among the fields."""
    return {
        field.name: {"data": _statuses(found.app.id, found.person)}
        for field in fields
        if field.name == "permissions" and not found.person.system
    }


# --- permissions ---------------------------------------------------------------------------------------------


def permissions(found: Caller, person: Person) -> Response:
    """With a token of the person, or with an app token of whoever gave the app something."""
    _reach(found, person)
    return jsonify(data=_statuses(found.app.id, person))


def _statuses(app: str, person: Person) -> list[dict[str, str]]:
    grant = facebook().grants.of.get((app, person.key))
    return [{"permission": name, "status": grant.statuses[name]} for name in ordered(grant.statuses)] if grant else []


def _reach(found: Caller, person: Person) -> None:
    if found.token is not None and (found.token.person != person.key or found.token.kind == "PAGE"):
        raise not_found(user_id(found.app.id, person.key), request.method)


def revoke(found: Caller, person: Person, permission: str | None) -> Response:
    """The whole grant, or one permission of it."""
    _reach(found, person)
    grant = facebook().grants.of.get((found.app.id, person.key))
    if grant is None:
        raise not_found(user_id(found.app.id, person.key), "DELETE")
    if facebook().quirks.get("delete_fails"):
        return jsonify(False)
    if permission is None:
        facebook().grants.end((found.app.id, person.key))
        return deleted()
    if permission == PROFILE or permission not in grant.statuses:
        raise bad_parameter(f"Cannot revoke the permission {permission}")
    grant.statuses[permission] = "declined"
    return deleted()


def deleted() -> Response:
    """Graph's answer to a deletion, in either form (§1.10)."""
    return jsonify({"success": True} if facebook().quirks.get("success_object") else True)


# --- Pages and portfolios ------------------------------------------------------------------------------------


def accounts(found: Caller) -> Response:
    """The Pages that were granted; none of those held by way of a portfolio alone (H1)."""
    demand(found, "pages_show_list")
    own = [page for page in facebook().pages_of(found.person) if found.grant.reaches("pages_show_list", page.id)]
    listed = [page for page in own if page.portfolio is None or found.person.system]
    return jsonify(_listing(found, [] if facebook().quirks.get("empty_accounts") else listed, "me/accounts"))


def _listing(found: Caller, pages: list[Page], path: str) -> dict[str, Any]:
    fields = fields_of(ACCOUNT_DEFAULT, PAGE_FIELDS, "Page")
    series = Series.of([{"page": page} for page in pages])
    return edge(series, path, lambda _, record: _listed(found, record["page"], fields))


def _listed(found: Caller, page: Page, fields: tuple[Field, ...]) -> Record:
    """A token is absent for a Page that was not granted: business edges show such (H2)."""
    own = found.user.person in page.roles and impersonates(found.grant, page)
    return page_shown(found, page, [field for field in fields if field.name != "access_token" or own])


def businesses(found: Caller) -> Response:
    demand(found, "business_management")
    business = facebook().businesses.get(found.person.business or "")
    records = [{"id": business.id, "name": business.name}] if business else []
    return jsonify(
        edge(Series.of(records), "me/businesses", flat(fields_of(("id", "name"), ("id", "name"), "Business")))
    )


def business_pages(found: Caller, business_id: str, which: str) -> Response:
    """Pages that nobody ticked as well (H2)."""
    demand(found, "business_management")
    if found.person.business != business_id:
        raise not_found(business_id)
    pages = facebook().pages_of(found.person) if which == "owned_pages" else []
    return jsonify(_listing(found, pages, f"{business_id}/{which}"))
