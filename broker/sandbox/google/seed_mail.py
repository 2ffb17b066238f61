"""The mail of the seed, each message made from its number when it is asked for (docs/facts/google.md §5.4)."""

from datetime import UTC, datetime, timedelta

from broker.sandbox.google.mailbox import numbered
from broker.sandbox.google.seed_people import FAMILY, GIVEN
from broker.sandbox.listing import Record

FIRST_DAY = datetime(2026, 10, 1, 1, tzinfo=UTC)
APART = timedelta(hours=2)
SUBJECTS = ("Order {}", "Price list for order {}", "Invoice {}", "Delivery of order {}", "Question about order {}")


def message(email: str, name: str, number: int) -> Record:
    """A message of the mailbox of this address and name. Each third is the owner's; each fourth answers the one
    before."""
    own, customer = f"{name} <{email}>", _customer(number)
    sent, answers = number % 3 == 0, number % 4 == 0
    subject = SUBJECTS[number % len(SUBJECTS)].format(number - answers)
    at = FIRST_DAY + APART * number
    return {
        "id": numbered(number),
        "threadId": numbered(number - answers),
        "labelIds": _labels(number, sent=sent),
        "internalDate": str(int(at.timestamp() * 1000)),
        "from": own if sent else customer,
        "to": [customer if sent else own, *([_customer(number + 1)] if number % 7 == 0 else [])],
        "cc": [_customer(number + 2)] if number % 5 == 0 else [],
        "subject": f"Re: {subject}" if answers else subject,
        "text": f"SECRET-TEXT-{number}: what only a scope for whole messages opens.",
        "answers": numbered(number - 1) if answers else None,
    }


def _customer(number: int) -> str:
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number * 7 % len(FAMILY)]
    return f"{given} {family} <{given.lower()}.{family.lower()}{number}@example.org>"


def _labels(number: int, *, sent: bool) -> list[str]:
    if sent:
        return ["SENT"]
    return [
        "INBOX",
        *(["UNREAD"] if number % 4 == 1 else []),
        *(["IMPORTANT"] if number % 6 == 1 else []),
        *(["Label_1"] if number % 10 == 1 else []),
    ]
