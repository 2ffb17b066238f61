"""The contacts of the seed, each made from its number when it is asked for (docs/facts/google.md §5.2)."""

from typing import Any

from broker.sandbox.listing import Record

SEEDED_AT = "2026-11-01T02:00:00Z"
GIVEN = ("Adi", "Bunga", "Cahya", "Dewi", "Eko", "Fitri", "Galih", "Hana", "Indra", "Joko", "Kartika", "Lukman", "Maya")
FAMILY = (
    *("Santoso", "Wijaya", "Lestari", "Pratama", "Siregar", "Halim"),
    *("Nasution", "Putri", "Gunawan", "Kusuma", "Saputra"),
)
COMPANIES = ("Toko Cahaya", "CV Maju Bersama", "PT Samudra Niaga", "Warung Sari", "UD Tani Makmur")
TITLES = ("Owner", "Purchasing", "Finance", "Store manager")


def source_id(resource_name: str) -> str:
    """The id of a contact as its source: its number in hexadecimal."""
    number = resource_name.removeprefix("people/c")
    return f"{int(number):x}" if number.isdigit() else resource_name


def sourced(value: Record, kind: str, of: str, *, primary: bool = False) -> Record:
    """A field value of a person, with the kind and id of the source it is from (rule P8)."""
    metadata: dict[str, Any] = {"source": {"type": kind, "id": of}}
    return {**value, "metadata": {"primary": True, **metadata} if primary else metadata}


def person(number: int) -> Record:
    """A contact. Each tenth also has values from a public profile and from a domain's directory."""
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number * 7 % len(FAMILY)]
    resource_name = f"people/c{number}"
    company = {"name": COMPANIES[number % len(COMPANIES)], "title": TITLES[number % len(TITLES)], "current": True}
    values: dict[str, Record] = {
        "names": {"displayName": f"{given} {family}", "givenName": given, "familyName": family},
        "emailAddresses": {
            "value": f"{given}.{family}{number}@example.org".lower(),
            "type": "work",
            "formattedType": "Work",
        },
        "phoneNumbers": {
            "value": f"0812-5550-{number:04}",
            "canonicalForm": f"+62812555{number:05}",
            "type": "mobile",
        },
        "organizations": company,
        "addresses": {"formattedValue": f"Jl. Melati {number}, Bandung", "city": "Bandung", "type": "work"},
        "biographies": {"value": f"Note {number}", "contentType": "TEXT_PLAIN"},
    }
    of = source_id(resource_name)
    found: Record = {name: [sourced(value, "CONTACT", of, primary=True)] for name, value in values.items()}
    if number % 10 == 0:
        _add_foreign_values(found, number)
    return {"resourceName": resource_name, "metadata": _metadata("CONTACT", of), **found}


def _metadata(kind: str, of: str) -> Record:
    return {"sources": [{"type": kind, "id": of, "updateTime": SEEDED_AT}], "objectType": "PERSON"}


def _add_foreign_values(found: Record, number: int) -> None:
    """Values that a contacts scope does not open by itself."""
    profile = f"1{number:020}"
    email = {"value": f"profile{number}@profile.example", "type": "home"}
    found["emailAddresses"].append(sourced(email, "PROFILE", profile))
    found["phoneNumbers"].append(sourced({"value": f"+62 21 999 {number:04}"}, "PROFILE", profile))
    directory = {"name": "Directory of Example", "title": f"Employee {number}"}
    found["organizations"].append(sourced(directory, "DOMAIN_PROFILE", profile))


def other_person(number: int) -> Record:
    """Somebody whom the user wrote to, and of whom little is known (rule P6). Each tenth has a public profile."""
    given, of = GIVEN[number % len(GIVEN)], f"{number:x}"
    name = {"displayName": given, "givenName": given}
    email = {"value": f"{given}.{number}@letters.example".lower()}
    found: Record = {
        "resourceName": f"otherContacts/c{number}",
        "metadata": _metadata("OTHER_CONTACT", of),
        "names": [sourced(name, "OTHER_CONTACT", of, primary=True)],
        "emailAddresses": [sourced(email, "OTHER_CONTACT", of, primary=True)],
    }
    if number % 10 == 0:
        profile = sourced({"name": COMPANIES[number % len(COMPANIES)]}, "PROFILE", f"1{number:020}")
        found["organizations"] = [profile]
    return found


def own_profile(sub: str, email: str, given: str, family: str) -> Record:
    """`people/me`, all of it: what a token sees depends on its scopes (rules P1 to P3)."""
    values: dict[str, list[Record]] = {
        "names": [{"displayName": f"{given} {family}", "givenName": given, "familyName": family}],
        "photos": [{"url": f"https://lh3.googleusercontent.com/a/{sub}"}],
        "emailAddresses": [{"value": email}, {"value": f"private.{email}"}],
        "addresses": [{"formattedValue": "Jl. Mawar 1, Bandung", "type": "home"}],
        "birthdays": [{"date": {"year": 1990, "month": 8, "day": 17}}],
        "genders": [{"value": "unspecified"}],
        "organizations": [{"name": "Toko Maju", "title": "Sales"}],
        "phoneNumbers": [{"value": "+62 812 0000 0000"}],
    }
    fields = {
        name: [sourced(value, "PROFILE", sub, primary=place == 0) for place, value in enumerate(found)]
        for name, found in values.items()
    }
    return {"resourceName": f"people/{sub}", "metadata": _metadata("PROFILE", sub), **fields}
