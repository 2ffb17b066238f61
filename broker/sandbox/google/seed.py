"""The accounts of the fake Google: who they are and how much each holds. The same at every start, and all invented."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from broker.sandbox.google import seed_analytics, seed_business, seed_events, seed_files, seed_mail, seed_people
from broker.sandbox.google.mailbox import Mailbox
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
    mailbox: Mailbox = field(init=False)
    files: Collection = field(init=False)
    analytics: Collection = field(init=False)
    """Accounts at Google Analytics that the person sees, with their properties."""
    business: Collection = field(init=False)
    """Accounts of Business Profile."""
    locations: Collection = field(init=False)
    """Places of business, of all those accounts."""

    def __post_init__(self) -> None:
        self.contacts = Collection(f"contacts of {self.sub}")
        self.other_contacts = Collection(f"other contacts of {self.sub}")
        self.mailbox = Mailbox(self.sub)
        self.files = Collection(f"files of {self.sub}")
        self.analytics = Collection(f"analytics of {self.sub}")
        self.business = Collection(f"business accounts of {self.sub}")
        self.locations = Collection(f"locations of {self.sub}")

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
        twin.mailbox.take(self.mailbox)
        twin.files.take(self.files)
        twin.analytics.take(self.analytics)
        twin.business.take(self.business)
        twin.locations.take(self.locations)
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
    for account, contacts, events, mails in ((ani, 260, 300, 400), (budi, 8, 3, 12), (citra, 12, 5, 30)):
        add_calendars(account)
        _add_other_data(account)
        _hold_mails(account, mails)
        account.mailbox.expire()
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


def _add_other_data(account: Account) -> None:
    """What of files and properties the seed has for this address."""
    for file in seed_files.FILES.get(account.email, ()):
        account.files.put(file["id"], file)
    for found in seed_analytics.ACCOUNTS.get(account.email, ()):
        account.analytics.put(found["id"], found)
    for key, name, kind, first, count in seed_business.ACCOUNTS.get(account.email, ()):
        _add_business(account, seed_business.account(key, name, kind))
        for number in range(first, first + count):
            place = f"locations/{number}"
            account.locations.put(place, seed_business.location(place, f"accounts/{key}", number))


def _add_business(account: Account, held: Record) -> None:
    account.business.put(held["name"], held)


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


def _hold_mails(account: Account, count: int) -> None:
    account.mailbox.hold(count, partial(seed_mail.message, account.email, account.name))


def _hold_analytics(account: Account, count: int) -> None:
    _hold(account.analytics, count, "numbered", seed_analytics.numbered)


def _hold_locations(account: Account, count: int) -> None:
    """Of a further account of Business Profile, which comes to be with them."""
    name = f"accounts/{zlib.crc32(account.sub.encode())}"
    if count and name not in account.business.items:
        _add_business(account, seed_business.account(name.removeprefix("accounts/"), "Many places", "LOCATION_GROUP"))
    prefix = f"locations/{zlib.crc32(account.sub.encode())}0"
    _hold(account.locations, count, prefix, lambda number: seed_business.location(f"{prefix}{number}", name, number))


FILL: Mapping[str, Callable[[Account, int], None]] = {
    "contacts": _hold_contacts,
    "other_contacts": _hold_other_contacts,
    "events": _hold_events,
    "mails": _hold_mails,
    "analytics_accounts": _hold_analytics,
    "locations": _hold_locations,
}
"""How much of each kind of record an account holds, by the name that the control call has for it."""
