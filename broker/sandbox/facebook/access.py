"""Who calls: the token, its proof, and what it opens (docs/facts/meta.md §1.11, §4.1, §6.1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flask import Response, request

from broker.sandbox.facebook.apps import App
from broker.sandbox.facebook.grants import Grant, Token
from broker.sandbox.facebook.permissions import IMPERSONATING
from broker.sandbox.facebook.seed import Page, Person
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import (
    GraphError,
    app_usage,
    business_usage,
    invalid_token,
    permission_missing,
    version,
)
from broker.sandbox.journal import note

PROOF_LIFETIME = 300
"""Seconds that a proof with a time is good for."""

NO_TOKEN = "An access token is required to request this resource."  # noqa: S105 - a message
IMPERSONATION = (
    f"Any of the {', '.join(IMPERSONATING[:-1])} or {IMPERSONATING[-1]} permission(s) must be granted before"
)


@dataclass(frozen=True)
class Caller:
    """The app that calls, and the token of a person, Page or system user; with an app token there is none."""

    app: App
    token: Token | None

    @property
    def user(self) -> Token:
        """Raises `GraphError` for an app token."""
        if self.token is None:
            raise GraphError(2500, "An active access token must be used to query information about the current user.")
        return self.token

    @property
    def person(self) -> Person:
        return facebook().people[self.user.person]

    @property
    def grant(self) -> Grant:
        return facebook().grants.of[self.app.id, self.user.person]


def presented() -> str | None:
    """The token of this request: in the header, the query or the form."""
    given = request.authorization
    if given and given.type == "bearer":
        return given.token
    return request.values.get("access_token")


def caller(*, lively: bool = True) -> Caller:
    """Raises `GraphError`. `lively`: the data access window of the person counts."""
    value = presented()
    note(token=value)
    if not value:
        raise GraphError(104, NO_TOKEN)
    if "|" in value:
        return _by_app_token(value)
    token = facebook().grants.tokens.get(value)
    if token is None:
        raise invalid_token("Invalid OAuth access token - Cannot parse access token")
    note(client=token.app, account=token.person)
    facebook().check(token)
    found = Caller(facebook().apps.get(token.app) or App(token.app), token)
    _check_proof(found.app, value)
    if lively and not found.person.system and found.grant.data_access_ends <= facebook().clock():
        raise facebook().grants.refusal(token.app, 493)
    return found


def _by_app_token(value: str) -> Caller:
    app_id, _, secret = value.partition("|")
    app = facebook().apps.get(app_id)
    if app is None or not facebook().apps.authenticates(app_id, secret):
        raise invalid_token("Invalid OAuth access token signature.")
    note(client=app_id)
    _check_proof(app, value, needed=False)
    return Caller(app, None)


def _check_proof(app: App, token: str, *, needed: bool = True) -> None:
    proof, at = request.values.get("appsecret_proof"), request.values.get("appsecret_time")
    if proof is None:
        if needed and (app.require_app_secret or facebook().quirks.get("require_app_secret")):
            message = "API calls from the server require an appsecret_proof argument"
            raise GraphError(100, message, kind="GraphMethodException")
        return
    if at is not None and (not re.fullmatch(r"\d{1,12}", at) or not _recent(int(at))):
        raise GraphError(100, "The appsecret_proof has expired", kind="GraphMethodException")
    if app.secret is None or not app.proves(proof, token if at is None else f"{token}|{at}"):
        message = "Invalid appsecret_proof provided in the API argument"
        raise GraphError(100, message, kind="GraphMethodException")


def _recent(at: int) -> bool:
    return abs(facebook().clock() - at) <= PROOF_LIFETIME


def missing(permissions: Iterable[str], code: int) -> GraphError:
    """The refusal for permissions that are not there."""
    code = facebook().quirks.get("permission_error", code)
    names = ", ".join(f"'{name}'" for name in permissions)
    return permission_missing(f"This endpoint requires the {names} permission or the matching feature.", code)


def demand(found: Caller, *permissions: str, code: int = 200) -> None:
    """All of them, of the person. Raises `GraphError`."""
    if lacking := [name for name in permissions if name not in found.grant.granted]:
        raise missing(lacking, code)


def impersonates(grant: Grant, page: Page) -> bool:
    """Whether a Page token of this grant opens anything (§1.6)."""
    return any(grant.reaches(permission, page.id) for permission in IMPERSONATING)


def check_impersonation(grant: Grant, page: Page) -> None:
    """Raises `GraphError`: 190, though no token is dead."""
    if not impersonates(grant, page):
        raise invalid_token(f"{IMPERSONATION} impersonating a user's page.")


def demand_of_page(
    found: Caller,
    page: Page,
    permissions: Iterable[str],
    *,
    asset: str | None = None,
    by_user: bool = False,
    code: int = 10,
    task: str | None = None,
) -> None:
    """The right kind of token, and all `permissions` for this Page. Raises `GraphError`.

    `asset`: the Instagram account that `instagram_*` must reach. `by_user`: a user token will do as well.
    """
    token = found.user
    if token.kind == "PAGE" and token.page != page.id:
        raise missing(["pages_read_engagement"], 10)
    if token.kind != "PAGE" and not by_user:
        wrong = facebook().quirks.get("page_token_error", 210)
        raise permission_missing("A page access token is required to request this resource.", wrong)
    if token.person not in page.roles:
        raise missing(permissions, code)
    check_impersonation(found.grant, page)
    held = (name for name in permissions if not _reaches(found.grant, name, page, asset))
    if lacking := list(held):
        raise missing(lacking, code)
    if task and task not in page.roles[token.person]:
        message = f"The person does not have the task {task} on this Page."
        raise permission_missing(message, facebook().quirks.get("permission_error", 200))


def _reaches(grant: Grant, permission: str, page: Page, asset: str | None) -> bool:
    of = asset if permission.startswith("instagram_") and asset else page.id
    return grant.reaches(permission, of)


def told_usage(response: Response) -> Response:
    """The headers that each answer of Graph has (§6.2)."""
    percent = facebook().quirks.get("usage", 1)
    value = presented()
    token = facebook().grants.tokens.get(value) if value else None
    if token and token.kind != "USER":
        name, text = business_usage(token.page or token.person, "pages", percent)
    else:
        name, text = app_usage(percent)
    response.headers.setdefault(name, text)
    response.headers["facebook-api-version"] = version()
    response.headers["Cache-Control"] = "private, no-cache, no-store, must-revalidate"
    return response
