"""The accounts of the fake Google: who they are and how much each holds. The same at every start, and all invented."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from broker.sandbox.google import seed_events, seed_people
from broker.sandbox.google.seed_people import FAMILY, GIVEN, source_id, sourced
from broker.sandbox.listing import Collection, Record

__all__ = ["FILL", "Account", "Calendar", "accounts", "add_calendars", "names_for", "source_id", "sourced", "sub_for"]

HOLIDAYS = "id.indonesian#holiday@group.v.calendar.google.com"


@dataclass
class Calendar:
    """One calendar in an account's list."""

    id: str
    summary: str
    access_role: str
    primary: bool = False
    public: bool = False
    events: Collection = field(init=False)

    def __post_init__(self) -> None:
        self.events = Collection(f"events of {self.id}")


@dataclass
class Account:
    """A person at Google. `sub` is the stable id."""

    sub: str
    email: str
    given_name: str
    family_name: str
    hd: str | None = None
    contacts: Collection = field(init=False)
    other_contacts: Collection = field(init=False)
    """People the person exchanged mail with."""
    calendars: dict[str, Calendar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contacts = Collection(f"contacts of {self.sub}")
        self.other_contacts = Collection(f"other contacts of {self.sub}")

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    @property
    def picture(self) -> str:
        return f"https://lh3.googleusercontent.com/a/{self.sub}"

    def copy(self) -> "Account":
        """One that changes by itself."""
        twin = replace(self, calendars={key: replace(calendar) for key, calendar in self.calendars.items()})
        twin.contacts.take(self.contacts)
        twin.other_contacts.take(self.other_contacts)
        for key, calendar in self.calendars.items():
            twin.calendars[key].events.take(calendar.events)
        return twin

    def calendar(self, calendar_id: str) -> Calendar | None:
        """By id, where `primary` is the account's own."""
        return self.calendars.get(self.email if calendar_id == "primary" else calendar_id)


def accounts() -> list[Account]:
    """Fresh ones: Ani with more than a page of everything, Budi with little, Citra in a Workspace domain."""
    ani = Account("108204268033311374519", "ani@example.com", "Ani", "Wijaya")
    budi = Account("109876543210987654321", "budi@example.com", "Budi", "Santoso")
    citra = Account("117000000000000000042", "citra@tokocitra.example", "Citra", "Lestari", hd="tokocitra.example")
    for account, contacts, events in ((ani, 260, 300), (budi, 8, 3), (citra, 12, 5)):
        add_calendars(account)
        _hold_contacts(account, contacts)
        _hold_other_contacts(account, contacts // 4)
        _hold_events(account, events)
    return [ani, budi, citra]


def names_for(email: str) -> tuple[str, str]:
    """Given and family name of somebody of whom only the address is known; the same each time."""
    number = zlib.crc32(email.encode())
    return GIVEN[number % len(GIVEN)], FAMILY[number // 7 % len(FAMILY)]


def sub_for(email: str) -> str:
    """A stable id as Google has them, twenty-one digits; the same each time."""
    return f"1{zlib.crc32(email.encode()):010}{zlib.crc32(email[::-1].encode()):010}"


def add_calendars(account: Account) -> None:
    """An own one with an event of each kind, a shared one, and a public one."""
    own = Calendar(account.email, account.email, "owner", primary=True)
    team = Calendar(f"team-{account.given_name.lower()}@group.calendar.google.com", "Sales visits", "owner")
    holidays = Calendar(HOLIDAYS, "Hari Libur di Indonesia", "reader", public=True)
    for calendar, events in (
        (own, seed_events.of_each_kind()),
        (team, [seed_events.timed("visit1", "Visit to Toko Cahaya", "2026-12-03", 9)]),
        (holidays, [seed_events.whole_day("newyear", "Tahun Baru Masehi", "2027-01-01")]),
    ):
        for event in events:
            calendar.events.put(event["id"], event)
    account.calendars = {calendar.id: calendar for calendar in (own, team, holidays)}


def _hold(collection: Collection, count: int, name: str, make: Callable[[int], Record]) -> None:
    """Hold the numbers 1 to `count` under `name`: what is missing is added, what is beyond is deleted."""
    for number in range(1, count + 1):
        if (key := name + str(number)) not in collection.items:
            collection.put(key, partial(make, number))
    for key in list(collection.items):
        digits = key.removeprefix(name)
        if digits.isdigit() and int(digits) > count:
            collection.delete(key)


def _hold_contacts(account: Account, count: int) -> None:
    _hold(account.contacts, count, "people/c", seed_people.person)


def _hold_other_contacts(account: Account, count: int) -> None:
    _hold(account.other_contacts, count, "otherContacts/c", seed_people.other_person)


def _hold_events(account: Account, count: int) -> None:
    """Beside those of each kind."""
    events = account.calendars[account.email].events
    _hold(events, count, "call", partial(seed_events.call, account.email, account.name))


FILL: Mapping[str, Callable[[Account, int], None]] = {
    "contacts": _hold_contacts,
    "other_contacts": _hold_other_contacts,
    "events": _hold_events,
}
"""How much of each kind of record an account holds, by the name that the control call has for it."""
