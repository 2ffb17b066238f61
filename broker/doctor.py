"""Doctor: what keeps the broker from working, each fault with how to mend it. It changes nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sqlalchemy import func, select, text

from broker import apps
from broker.app import assemble
from broker.errors import BrokerError, ConfigurationError, ProviderUnavailable
from broker.models import Duty
from broker.providers.line import Line
from broker.runtime import Broker
from broker.schema import is_current
from broker.upstream import Answer

SKEW = 5.0
"""Seconds by which a clock may differ: an id_token's times are checked with twice as much leeway."""
LATE = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    """One check. `mend` says what to do where it did not hold."""

    check: str
    held: bool
    seen: str
    mend: str = ""


def examine(environ: Mapping[str, str]) -> list[Finding]:
    """Every check that can be made; what rests on a failed one is left out."""
    try:
        broker = assemble(environ)
    except ConfigurationError as error:
        return [
            Finding("configuration", False, problem, "See the README's table of settings.")
            for problem in error.problems
        ]
    found = [Finding("configuration", True, "complete")]
    try:
        found += _database(broker)
        found += [finding for app_id in broker.settings.apps for finding in _provider(broker, app_id)]
        if all(finding.held for finding in found if finding.check in ("database", "schema")):
            found += _own_apps(broker)
    finally:
        broker.upstream.close()
        broker.database.dispose()
    return found


def _database(broker: Broker) -> Iterator[Finding]:
    mend = "Look at BROKER_DATABASE_URL, and whether the server runs and lets us in."
    reached = _held("database", mend, lambda: _clock_difference(broker))
    yield reached
    if not reached.held:
        return
    current = is_current(broker.database)
    yield Finding("schema", current, "current" if current else "not of this version", "Run: broker db upgrade")
    if current:
        yield _held(
            "keys", "Put back the key that is missing in the source that BROKER_KEYS names.", lambda: _keys(broker)
        )
        yield _held("shred log", "See docs/operating/backups.md.", lambda: _shred_log(broker))
        yield _duties(broker)


def _held(check: str, mend: str, act: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, act())
    except (BrokerError, ConfigurationError) as error:
        return Finding(check, False, str(error), mend)


def _clock_difference(broker: Broker) -> str:
    """PostgreSQL has a clock of its own, which all hosts share."""
    if broker.database.engine.dialect.name == "sqlite":
        with broker.database.read() as session:
            session.execute(text("SELECT 1"))
        return "SQLite answers"
    with broker.database.read() as session:
        theirs = session.scalar(select(func.clock_timestamp()))
    skew = abs((theirs - datetime.now(UTC)).total_seconds()) if isinstance(theirs, datetime) else 0.0
    if skew > SKEW:
        raise ConfigurationError([f"this machine's clock is {skew:.0f} s from the database's: run an NTP client"])
    return f"PostgreSQL answers, clocks differ by {skew:.1f} s"


def _keys(broker: Broker) -> str:
    with broker.database.write() as session:
        broker.vault.check_keys(session)
    return "all keys that seal or wrap something are held"


def _shred_log(broker: Broker) -> str:
    """All of it, where a start looks at its end alone."""
    broker.shred_log.check()
    broker.shred_log.check_writable()
    return f"whole, and the database knows all of it: {broker.shred_log.verify()} endings"


def _duties(broker: Broker) -> Finding:
    with broker.database.read() as session:
        oldest = session.scalar(select(func.min(Duty.due_at)).where(Duty.open.is_(True)))
    late = broker.clock() - oldest if oldest else timedelta()
    seen = f"the oldest has been due for {int(late.total_seconds())} s" if late > timedelta() else "none is late"
    return Finding("duties", late < LATE, seen, "Run broker work, or broker serve without --no-work.")


def _provider(broker: Broker, app_id: str, check: str | None = None) -> Iterator[Finding]:
    """Whether it can be reached, whether its clock and ours agree, and what its own file warns of."""
    mend = "Look at this host's way out: names, firewall, certificates. Proxies are not used."
    check = check or f"provider {app_id}"
    try:
        line = broker.line(app_id)
        answer = _asked(line)
    except BrokerError as error:
        yield Finding(check, False, error.detail, mend)
        return
    skew = _skew(answer)
    yield Finding(
        check, skew <= SKEW, f"reachable, clocks differ by {skew:.0f} s", "Run an NTP client on this machine."
    )
    for warning in broker.providers[line.app.provider].warnings(line.app.options, broker.clock()):
        yield Finding(f"{check} settings", False, warning, "See the README's table of settings.")


def _own_apps(broker: Broker) -> Iterator[Finding]:
    """Each tenant's own app; a provider is asked once, for all of its apps are served at one place."""
    asked = set(broker.settings.apps)
    for own in apps.listed(broker.database):
        if own["provider"] not in asked and own["provider"] in broker.providers:
            asked.add(own["provider"])
            yield from _provider(broker, own["id"], f"provider {own['provider']}")
        yield from _own_app(broker, own)


def _own_app(broker: Broker, own: Mapping[str, Any]) -> Iterator[Finding]:
    check = f"provider app {own['id']}"
    mend = "Switch the provider on again, put back the keys, or: broker providers remove"
    try:
        app = broker.app(own["id"])
    except BrokerError as error:
        yield Finding(check, False, error.detail, mend)
        return
    provider, shared = broker.providers[app.provider], broker.settings.apps.get(app.provider)
    wrong = [*provider.problems(app.options), *provider.warnings(app.options, broker.clock())]
    if shared and shared.client_id == app.client_id:
        wrong.append("its client id is the shared app's: each would end the other's connections at the provider")
    for problem in wrong:
        yield Finding(f"{check} settings", False, problem, "Remove the app, and add it as it should be.")
    yield Finding(check, True, f"of tenant {own['tenant']} at {app.provider}: its secret opens")


def _asked(line: Line) -> Answer:
    """Its keys, where it has any; else its token endpoint, which refuses a GET without a grant but is there."""
    known = line.endpoints
    answer = line.call("GET", known.jwks or known.token)
    if known.jwks and answer.status != 200:
        raise ProviderUnavailable(f"Its keys answer with status {answer.status}.")
    if answer.status >= 500:
        raise ProviderUnavailable(f"It answers with status {answer.status}.")
    return answer


def _skew(answer: Answer) -> float:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return 0.0
    return abs((theirs - datetime.now(UTC)).total_seconds())
