"""The accounts of the fake Google and what is in them. The same at every start, and all of it invented."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from broker.sandbox.listing import Collection, Item, Record

SEEDED_AT = "2026-11-01T02:00:00Z"
GIVEN = ("Adi", "Bunga", "Cahya", "Dewi", "Eko", "Fitri", "Galih", "Hana", "Indra", "Joko", "Kartika", "Lukman", "Maya")
FAMILY = (
    "Santoso",
    "Wijaya",
    "Lestari",
    "Pratama",
    "Siregar",
    "Halim",
    "Nasution",
    "Putri",
    "Gunawan",
    "Kusuma",
    "Saputra",
)
COMPANIES = ("Toko Cahaya", "CV Maju Bersama", "PT Samudra Niaga", "Warung Sari", "UD Tani Makmur")
TITLES = ("Owner", "Purchasing", "Finance", "Store manager")
ZONE = "Asia/Jakarta"
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
    calendars: dict[str, Calendar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contacts = Collection(f"contacts of {self.sub}")

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    def copy(self) -> "Account":
        """One that changes by itself."""
        twin = replace(self, calendars={key: replace(calendar) for key, calendar in self.calendars.items()})
        twin.contacts.take(self.contacts)
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
        _fill(account.contacts, _people(contacts), "resourceName")
        _add_calendars(account, events)
    return [ani, budi, citra]


def _fill(collection: Collection, records: Iterator[Record], identity: str) -> None:
    for record in records:
        collection.items[record[identity]] = Item(record)


def sourced(value: Record, kind: str, source_id: str, *, primary: bool = False) -> Record:
    """A field value of a person, with the source it is from (rule P8)."""
    metadata: dict[str, Any] = {"source": {"type": kind, "id": source_id}}
    return {**value, "metadata": {"primary": True, **metadata} if primary else metadata}


def _people(count: int) -> Iterator[Record]:
    for number in range(1, count + 1):
        yield _person(number)


def _person(number: int) -> Record:
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number * 7 % len(FAMILY)]
    hexadecimal = f"{number:x}"
    person: Record = {
        "resourceName": f"people/c{number}",
        "metadata": {
            "sources": [{"type": "CONTACT", "id": hexadecimal, "updateTime": SEEDED_AT}],
            "objectType": "PERSON",
        },
        "names": [{"displayName": f"{given} {family}", "givenName": given, "familyName": family}],
        "emailAddresses": [
            {"value": f"{given}.{family}{number}@example.org".lower(), "type": "work", "formattedType": "Work"}
        ],
        "phoneNumbers": [
            {"value": f"0812-5550-{number:04}", "canonicalForm": f"+62812555{number:05}", "type": "mobile"}
        ],
        "organizations": [
            {"name": COMPANIES[number % len(COMPANIES)], "title": TITLES[number % len(TITLES)], "current": True}
        ],
        "addresses": [{"formattedValue": f"Jl. Melati {number}, Bandung", "city": "Bandung", "type": "work"}],
        "biographies": [{"value": f"Note {number}", "contentType": "TEXT_PLAIN"}],
    }
    for name, values in person.items():
        if isinstance(values, list):
            person[name] = [sourced(value, "CONTACT", hexadecimal, primary=True) for value in values]
    if number % 10 == 0:
        _add_foreign_values(person, number)
    return person


def _add_foreign_values(person: Record, number: int) -> None:
    """Values that a contacts scope does not open: from the person's own profile and from a domain's directory."""
    private = {"value": f"private{number}@profile.example", "type": "home"}
    person["emailAddresses"].append(sourced(private, "PROFILE", f"1{number:020}"))
    person["phoneNumbers"].append(sourced({"value": f"+62 21 999 {number:04}"}, "PROFILE", f"1{number:020}"))
    directory = {"name": "Directory of Example", "title": f"Employee {number}"}
    person["organizations"].append(sourced(directory, "DOMAIN_PROFILE", f"1{number:020}"))


def _add_calendars(account: Account, events: int) -> None:
    own = Calendar(account.email, account.email, "owner", primary=True)
    team = Calendar(f"team-{account.given_name.lower()}@group.calendar.google.com", "Sales visits", "owner")
    holidays = Calendar(HOLIDAYS, "Hari Libur di Indonesia", "reader", public=True)
    _fill(own.events, _events(account, events), "id")
    _fill(team.events, iter([_timed("visit1", "Visit to Toko Cahaya", "2026-12-03", 9)]), "id")
    _fill(holidays.events, iter([_whole_day("newyear", "Tahun Baru Masehi", "2027-01-01")]), "id")
    account.calendars = {calendar.id: calendar for calendar in (own, team, holidays)}


def _events(account: Account, count: int) -> Iterator[Record]:
    yield _whole_day("stocktake", "Stock-taking", "2026-12-31")
    cancelled = _timed("calledoff", "Lunch with a supplier", "2026-12-07", 12)
    yield {**cancelled, "status": "cancelled"}
    yield from _weekly("weekly", "Sales meeting", "2026-12-01")
    for number in range(1, count + 1):
        day = date(2026, 12, 1) + timedelta(days=number)
        yield {
            **_timed(f"call{number}", f"Call with customer {number}", day.isoformat(), 8 + number % 8),
            "description": f"About order {number}",
            "location": "Bandung",
            "organizer": {"email": account.email, "displayName": account.name, "self": True},
            "creator": {"email": account.email, "self": True},
            "attendees": [
                {"email": account.email, "self": True, "organizer": True, "responseStatus": "accepted"},
                {
                    "email": f"customer{number}@example.org",
                    "displayName": f"Customer {number}",
                    "responseStatus": "needsAction",
                },
            ],
            "transparency": "transparent" if number % 5 == 0 else "opaque",
        }


def _weekly(event_id: str, summary: str, first: str) -> Iterator[Record]:
    """A series of four, its third instance called off. Plain instances show only with singleEvents=true."""
    yield {**_timed(event_id, summary, first, 10), "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"]}
    for week in range(4):
        day = (date.fromisoformat(first) + timedelta(weeks=week)).isoformat()
        instance = {
            **_timed(f"{event_id}_{day.replace('-', '')}T030000Z", summary, day, 10),
            "recurringEventId": event_id,
        }
        yield {**instance, "originalStartTime": instance["start"], "status": "cancelled" if week == 2 else "confirmed"}


def _timed(event_id: str, summary: str, day: str, hour: int) -> Record:
    start, end = (f"{day}T{at:02}:00:00+07:00" for at in (hour, hour + 1))
    times = {"start": {"dateTime": start, "timeZone": ZONE}, "end": {"dateTime": end, "timeZone": ZONE}}
    return {
        "kind": "calendar#event",
        "id": event_id,
        "status": "confirmed",
        "summary": summary,
        **times,
        "updated": SEEDED_AT,
    }


def _whole_day(event_id: str, summary: str, day: str) -> Record:
    following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    times = {"start": {"date": day}, "end": {"date": following}, "transparency": "transparent"}
    return {
        "kind": "calendar#event",
        "id": event_id,
        "status": "confirmed",
        "summary": summary,
        **times,
        "updated": SEEDED_AT,
    }
