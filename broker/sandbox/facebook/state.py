"""Everything the fake Facebook remembers. No rule of Facebook's stands here."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from broker.sandbox.facebook.apps import Apps
from broker.sandbox.facebook.grants import Grants, Token
from broker.sandbox.facebook.permissions import ordered
from broker.sandbox.facebook.quirks import KNOWN
from broker.sandbox.facebook.seed import Business, Page, Person, World, user_id
from broker.sandbox.fake import Fake, current
from broker.sandbox.graph import GraphError, unversioned


class Facebook(Fake):
    """One fake Facebook."""

    def __init__(
        self,
        *,
        world: Callable[[], World],
        apps: Callable[[], Apps],
        clock: Callable[[], float],
        quirks: Mapping[str, Any],
    ) -> None:
        """`world`, `apps`: make those of the start. Raises `BadQuirk`."""
        super().__init__(clock=clock, known=KNOWN, quirks=quirks)
        self._world, self._apps = world, apps
        self.start()

    def start(self) -> None:
        world = self._world()
        self.apps = self._apps()
        self.people: dict[str, Person] = {person.key: person for person in world.people}
        self.pages: dict[str, Page] = {page.id: page for page in world.pages}
        self.businesses: dict[str, Business] = {business.id: business for business in world.businesses}
        self.grants = Grants(self.clock, self.quirks)
        self._ids: dict[tuple[str, str], str] = {}
        self._seen: set[tuple[str, str]] = set()
        self.last_person: str | None = None
        """Who used the dialog last: the session of the quirk `straight_through`."""

    def names_of(self, path: str) -> tuple[str, ...]:
        return path, unversioned(path)

    def person(self, name: object) -> Person | None:
        """By e-mail address, or by the id that some app sees of the person."""
        if found := self.people.get(str(name)):
            return found
        return next((p for app in self.apps for p in [self.person_of(app.id, str(name))] if p), None)

    def person_of(self, app_id: str, number: str) -> Person | None:
        """By the id that this app sees."""
        for key in self.people:
            if (app_id, key) not in self._seen:
                self._seen.add((app_id, key))
                self._ids[app_id, user_id(app_id, key)] = key
        return self.people.get(self._ids.get((app_id, number), ""))

    def page(self, name: object) -> Page | None:
        return self.pages.get(str(name))

    def page_numbered(self, ordinal: int) -> Page | None:
        return next((page for page in self.pages.values() if page.ordinal == ordinal), None)

    def pages_of(self, person: Person) -> list[Page]:
        """All on which the person has a role, by way of a portfolio too."""
        return [page for page in self.pages.values() if person.key in page.roles]

    def check(self, token: Token) -> None:
        """Raises the `GraphError` that the token is answered with once it is no good."""
        page = self.pages.get(token.page) if token.page else None
        self.grants.check(token, self.people.get(token.person), page)

    def lives(self, token: Token) -> bool:
        try:
            self.check(token)
        except GraphError:
            return False
        return True

    def described(self) -> dict[str, Any]:
        live = [token for token in self.grants if self.lives(token)]
        kinds = {"user": "USER", "page": "PAGE", "system_user": "SYSTEM_USER"}
        shown = {name: [_token(token) for token in live if token.kind == kind] for name, kind in kinds.items()}
        return {
            "now": self.clock(),
            "accounts": [self._person(person) for person in self.people.values() if not person.system],
            "pages": [
                {"id": page.id, "name": page.name, "roles": {key: sorted(tasks) for key, tasks in page.roles.items()}}
                for page in self.pages.values()
            ],
            "grants": [
                {
                    "app": grant.app,
                    "account": grant.person,
                    "user_id": user_id(grant.app, grant.person),
                    "permissions": {name: grant.statuses[name] for name in ordered(grant.statuses)},
                    "targets": {kind: sorted(ids) for kind, ids in grant.targets.items()},
                    "data_access_expires_at": int(grant.data_access_ends),
                }
                for grant in self.grants.of.values()
            ],
            "live_tokens": shown,
            "counts": {name: len(tokens) for name, tokens in shown.items()},
            "codes": [code.value for code in self.grants.codes.values() if code.expires_at > self.clock()],
            "subscriptions": [
                {"app": app, "page": page.id, "fields": list(fields)}
                for page in self.pages.values()
                for app, fields in page.subscribed.items()
            ],
        }

    def _person(self, person: Person) -> dict[str, Any]:
        ids = {app.id: user_id(app.id, person.key) for app in self.apps}
        return {"email": person.key, "name": person.name, "user_ids": ids}


def _token(token: Token) -> dict[str, object]:
    """In full, since this is a test double."""
    return {
        "value": token.value,
        "app": token.app,
        "account": token.person,
        "page": token.page,
        "expires_at": token.expires_at,
        "lasting": token.lasting,
    }


def facebook() -> Facebook:
    """The fake that answers this request."""
    return cast(Facebook, current())
