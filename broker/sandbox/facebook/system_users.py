"""System users of Facebook Login for Business: of a business portfolio, not of a person (docs/facts/meta.md §1.6)."""

from collections.abc import Mapping

from broker.sandbox.facebook.seed import Business, Page, Person
from broker.sandbox.facebook.state import facebook
from broker.sandbox.graph import digits


def system_user(
    app_id: str, person: Person, pages: list[Page], chosen: Mapping[str, frozenset[str] | None]
) -> tuple[Person, dict[str, frozenset[str] | None]]:
    """The app's own user in the portfolio of this person, made at the first consent, and the assets it was given.

    It reaches what was delegated by name, nothing that comes later.
    """
    business = _business(person)
    key = f"system:{app_id}:{business}"
    found = facebook().people.setdefault(key, Person(key, "Integration", "System User", None, business, system=True))
    instagram = frozenset(page.instagram[0] for page in pages if page.instagram)
    everything = {"pages": frozenset(page.id for page in pages), "instagram": instagram}
    given = {kind: chosen.get(kind) or own for kind, own in everything.items()}
    for page in facebook().pages.values():
        page.roles.pop(key, None)
        if page.id in given["pages"]:
            page.roles[key] = page.roles[person.key]
    return found, {**given}


def _business(person: Person) -> str:
    """Who has no portfolio gets one."""
    if person.business is None:
        person.business = digits(15, "business", person.key)
        facebook().businesses[person.business] = Business(person.business, f"{person.first_name} Business")
    return person.business
