"""What connectors read, out of the access counts: the last time, and day by day over 30 days, with a chart of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from broker.models import AccessCount
from broker.portal.texts import TEXTS, clock, counted, day, local, number

DAYS = 30
HEIGHT, STEP, BAR = 40, 10, 8
"""Of the chart, in units of its view box: its height, a day, and a day's bar."""
LEAST = 2
"""Height of a bar that stands for anything at all."""

Key = tuple[str, str]
"""Connection and connector."""


@dataclass(frozen=True)
class Bar:
    x: int
    y: int
    height: int
    width: int = BAR


@dataclass(frozen=True)
class Chart:
    """Bars for the eye, the same in a sentence and as a table for all others."""

    text: str
    bars: tuple[Bar, ...]
    rows: tuple[tuple[str, str], ...]
    """Day and records, of the days on which something was read, the newest first."""
    width: int = DAYS * STEP
    height: int = HEIGHT


@dataclass(frozen=True)
class Readings:
    """In sentences. `chart`: None where nothing was read within the 30 days."""

    last: str
    month: str | None
    chart: Chart | None


Read = Mapping[Key, Readings]


@dataclass
class Counts:
    """Of one connector on one connection."""

    last_hour: datetime | None = None
    last_records: int = 0
    pages: int = 0
    records: Counter[date] = field(default_factory=Counter)

    def add(self, on: date, records: int, pages: int) -> None:
        self.pages += pages
        self.records[on] += records


def read(session: Session, connections: Collection[str], now: datetime, locale: str) -> Read:
    """By connection and connector; what is not in it never read."""
    today = local(now, locale).date()
    counts: dict[Key, Counts] = defaultdict(Counts)
    for connection, connector, hour, records in session.execute(_last(connections)):
        counts[connection, connector] = Counts(last_hour=hour, last_records=int(records))
    for connection, connector, hour, records, pages in session.execute(_hourly(connections, now)):
        on = local(hour, locale).date()
        if today - timedelta(days=DAYS) < on <= today:
            counts[connection, connector].add(on, int(records), int(pages))
    return {found: _told(count, today, locale) for found, count in counts.items()}


def never(locale: str) -> Readings:
    return Readings(TEXTS[locale]["never_read"], None, None)


def _last(connections: Collection[str]) -> Select[str, str, datetime, int]:
    """What was read in the last hour in which anything was."""
    key = (AccessCount.connection_id, AccessCount.connector)
    newest = select(*key, func.max(AccessCount.hour).label("hour")).where(AccessCount.connection_id.in_(connections))
    last = newest.group_by(*key).subquery()
    same = (
        AccessCount.connection_id == last.c.connection_id,
        AccessCount.connector == last.c.connector,
        AccessCount.hour == last.c.hour,
    )
    query = select(*key, AccessCount.hour, func.sum(AccessCount.records)).join(last, and_(*same))
    return query.group_by(*key, AccessCount.hour)


def _hourly(connections: Collection[str], now: datetime) -> Select[str, str, datetime, int, int]:
    key = (AccessCount.connection_id, AccessCount.connector, AccessCount.hour)
    query = select(*key, func.sum(AccessCount.records), func.sum(AccessCount.pages))
    since = AccessCount.hour >= now - timedelta(days=DAYS + 1)
    return query.where(AccessCount.connection_id.in_(connections), since).group_by(*key)


def _told(counts: Counts, today: date, locale: str) -> Readings:
    if counts.last_hour is None:
        return never(locale)
    texts, start = TEXTS[locale], local(counts.last_hour, locale)
    last = texts["last_read"].format(
        day=day(start, locale),
        start=clock(start, locale),
        end=clock(start + timedelta(hours=1), locale),
        zone=start.tzname(),
        records=counted(counts.last_records, "record", locale),
    )
    if not counts.records:
        return Readings(last, texts["not_in_month"], None)
    month = texts["month"].format(
        records=counted(counts.records.total(), "record", locale), readings=counted(counts.pages, "reading", locale)
    )
    return Readings(last, month, _chart(counts.records, today, locale))


def _chart(records: Counter[date], today: date, locale: str) -> Chart:
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    most = max(records.values())
    heights = [_height(records[on], most) for on in days]
    bars = tuple(Bar(place * STEP + 1, HEIGHT - height, height) for place, height in enumerate(heights) if height)
    first, last = day(days[0], locale), day(days[-1], locale)
    return Chart(
        text=TEXTS[locale]["chart"].format(first=first, last=last, most=number(most, locale)),
        bars=bars,
        rows=tuple((day(on, locale), number(records[on], locale)) for on in reversed(days) if on in records),
    )


def _height(records: int, most: int) -> int:
    return max(LEAST, HEIGHT * records // most) if records else 0
