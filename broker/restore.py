"""Restore: a backup was put back, and what was ended since is ended again before anybody is served.

    verified ─► replayed, a batch a transaction, which also moves the database's mark ─► keys destroyed once more

Killed in between it goes on where it stopped: until the mark has reached the log's end, nothing serves. Endings take
the paths they always take, with receipts and with duties to tell the provider, which count what is alive by then. What
the database does not know at all was connected after the backup; its token is gone with the database.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from broker import audit
from broker.connections import ending, receipts
from broker.connections.assets import opened, seal
from broker.connections.sessions import end_session
from broker.connections.tell import Outcome, end_orphans, shred_connections
from broker.connections.tokens import open_token
from broker.errors import ConfigurationError, Unavailable
from broker.failpoint import failpoint
from broker.models import AccessToken, AuditEntry, Client, Connection, ConnectSession, Grant, Orphan, OwnProviderApp
from broker.privacy import erase
from broker.runtime import Broker
from broker.shredlog import KEYS, LOG, START, Line, Mark, marked, set_mark
from broker.vault import Undecryptable

BATCH = 100
"""Lines replayed in one transaction."""
ACTOR = "operator"
REASON = "restored"
OVER = ("confirmed", "already_gone")
"""Outcomes after which the provider honours nothing any more."""

Report = Callable[[str, int, int], None]
"""Told of each step: what, done, of how many."""


@dataclass
class Restored:
    """What a restore did. Counts; ids where a person must look."""

    lines: int = 0
    connections: int = 0
    """Ended again."""
    grants: int = 0
    """Withdrawn again, of connections that go on; or narrowed, so that assets must be chosen anew."""
    shredded: int = 0
    """Connections and orphaned tokens whose key was destroyed again."""
    to_tell: int = 0
    """Connections of which the provider is told again, for how that ended is not known."""
    subjects: int = 0
    apps: int = 0
    clients: int = 0
    sessions: int = 0
    """Attempts to connect that were ended: what they had used once must not be used again."""
    tenants: list[str] = field(default_factory=list)
    """To be erased again by the operator: a tenant's keys go last of all."""
    absent: int = 0
    """Connections ended since that this backup does not know: made after it."""
    possibly_orphaned: list[str] = field(default_factory=list)
    """Those of them of which nobody knows whether the provider was told."""


class _Undone(Exception):
    """A dry run ends here, and nothing is kept."""


def restore(broker: Broker, *, dry_run: bool = False, report: Report = lambda *_: None) -> Restored:
    """Replay what the database does not know of. Nothing to do: nothing is done. May be repeated.

    Raises `LogFault` where the log is not to be trusted, `ConfigurationError` for lines that this version does not
    know, `Unavailable`.
    """
    log = broker.shred_log
    total = log.verify(lambda seq: report("Checking the log", seq, 0))
    replay = _Replay(broker, log.owed_ids())
    with log.replaying():
        if dry_run:
            return replay.tried()
        replay.run(total, report)
    log.flush()
    broker.database.keystore.wipe()
    return replay.done


def begin_anew(broker: Broker) -> None:
    """Give up a log that is lost. What was ended since the backup is not known any more, and may be alive again."""
    broker.shred_log.anew()
    with broker.database.write() as session:
        audit.note(session, "shred_log.begun_anew", actor=ACTOR)


class _Replay:
    def __init__(self, broker: Broker, owed: set[str]) -> None:
        self.broker, self.owed, self.done = broker, owed, Restored()
        self.subjects: set[str] = set()
        self.telling: set[str] = set()
        self.lost: set[str] = set()
        """Connections that are not here, and of which it is not known whether the provider was told."""

    def run(self, total: int, report: Report) -> None:
        mark, keys = self._marks()
        if not any([next(self._store_after(place), None) for place in (mark, keys)]):
            return
        with self.broker.database.write() as session:
            self._forget_uses(session)
            audit.note(session, "database.restored", actor=ACTOR, lines=total - mark.seq)
        while self._batch(report, total):
            pass

    def tried(self) -> Restored:
        """What would be done, in one transaction that is undone."""
        mark, keys = self._marks()
        try:
            with self.broker.database.write() as session:
                self._forget_uses(session)
                for line in self._store_after(min(mark, keys)):
                    self._one(session, line, mark, keys)
                    if line.of("subject") and self._is_new(line, mark):
                        self.subjects.add(line.of("subject"))
                raise _Undone
        except _Undone:
            return self._closed()

    def _batch(self, report: Report, total: int) -> bool:
        mark, keys = self._marks()
        lines = list(islice(self._store_after(min(mark, keys)), BATCH))
        if not lines:
            return False
        for line in lines:
            if line.what.startswith("subject.") and self._is_new(line, mark):
                self._erase(line)
        end = lines[-1].mark
        with self.broker.database.write() as session:
            if (marked(session, LOG, lock=True) or START) != mark:
                raise Unavailable("Another restore is at work. Wait for its end, then run this again.")
            for line in lines:
                self._one(session, line, mark, keys)
            set_mark(session, LOG, end)
        failpoint("restore.replayed")
        self.broker.shred_log.follow(end, written=[line.id for line in lines])
        report("Replaying", end.seq, total)
        self._closed()
        return True

    def _marks(self) -> tuple[Mark, Mark]:
        log = self.broker.shred_log
        mark = log.mark() or START
        return mark, mark if self.broker.database.keystore is self.broker.database else log.mark(KEYS) or START

    def _store_after(self, mark: Mark) -> Iterator[Line]:
        return self.broker.shred_log.store.after(mark)

    def _is_new(self, line: Line, mark: Mark) -> bool:
        return line.seq > max(mark.seq, 0) and line.id not in self.owed

    def _one(self, session: Session, line: Line, mark: Mark, keys: Mark) -> None:
        if line.seq == 0:
            return
        self.done.lines += 1
        if self._is_new(line, mark):
            if line.what not in ACTS:
                problem = f"The shred log says {line.what} at line {line.seq}, which this version does not know."
                raise ConfigurationError([f"{problem} Install the version that wrote it."])
            ACTS[line.what](self, session, line)
        elif line.seq > keys.seq:
            self._destroy_key(session, line)

    def _closed(self) -> Restored:
        self.done.possibly_orphaned = sorted(self.lost)
        self.done.to_tell, self.done.subjects = len(self.telling), len(self.subjects)
        return self.done

    # --- what lines say --------------------------------------------------------------------------------------

    def _revoked(self, session: Session, line: Line) -> None:
        row = session.get(Connection, line.of("connection"))
        if row is None:
            self.done.absent += 1
            self.lost.add(line.of("connection"))
        elif row.live:
            self._end(session, row)

    def _end(self, session: Session, row: Connection) -> None:
        row = ending.locked(session, row)
        grants = ending.live_grants(session, [row])
        items = ending.end_connections(self.broker, session, ACTOR, [row], grants, reason=REASON)
        self._receipt(session, row, items)
        self.done.connections += 1
        self.telling.add(row.id)

    def _shredded(self, session: Session, line: Line) -> None:
        """How the provider was told is known, and it is not told again. But where another connection held the
        authorization then, it may be one that is not here: whether any does, is counted anew."""
        row, outcome = session.get(Connection, line.of("connection")), line.of("provider_outcome")
        if row is None:
            if outcome in OVER:
                self.lost.discard(line.of("connection"))
        else:
            if row.live:
                self._end(session, row)
            if row.state == "revoking" and not (outcome == "shared" and self._opens(session, row)):
                shred_connections(self.broker, session, [row], cast(Outcome, outcome))
                self.telling.discard(row.id)
            if row.state == "revoking":
                return
        self._destroy_key(session, line)

    def _opens(self, session: Session, row: Connection) -> bool:
        try:
            return any(open_token(self.broker, session, row, name) for name in ("refresh_token", "access_token"))
        except Undecryptable:
            return False

    def _withdrawn(self, session: Session, line: Line) -> None:
        row, grant = self._grant(session, line)
        if row and grant:
            row = ending.locked(session, row)
            grants = ending.live_grants(session, [row])
            items = ending.end_grants(self.broker, session, ACTOR, [row], grants, grant.connector)
            self._receipt(session, row, items)
            self.done.grants += 1

    def _narrowed(self, session: Session, line: Line) -> None:
        """Which assets were left is not in the log: none is read until they are chosen again."""
        row, grant = self._grant(session, line)
        if row and grant and grant.assets is not None:
            assets = opened(self.broker, session, row, grant)
            seal(self.broker, session, row, grant, type(assets)(assets.offered, None))
            self.done.grants += 1

    def _grant(self, session: Session, line: Line) -> tuple[Connection | None, Grant | None]:
        row = session.get(Connection, line.of("connection"))
        live = Grant.live.is_(True), Grant.connector == line.of("connector")
        if row is None or not row.live:
            return None, None
        return row, session.scalar(select(Grant).where(Grant.connection_id == row.id, *live))

    def _receipt(self, session: Session, row: Connection, items: Sequence[receipts.Item]) -> None:
        named = {"tenant": row.tenant, "subject": row.subject, "client_id": None}
        receipts.new_receipt(self.broker, session, **named, reason=REASON, items=items)  # type: ignore[arg-type]

    def _orphan(self, session: Session, line: Line) -> None:
        if row := session.get(Orphan, line.of("orphan")):
            end_orphans(self.broker, session, [row])
        self._destroy_key(session, line)

    def _erased(self, session: Session, line: Line) -> None:
        """Asked for again before this batch (`_erase`), in transactions of its own."""

    def _erase(self, line: Line) -> None:
        """The log names nobody: the audit knows by the keyed hash who it was, unless that is erased here too."""
        named = AuditEntry.tenant == line.of("tenant"), AuditEntry.subject_hash == line.of("subject")
        with self.broker.database.read() as session:
            subject = session.scalar(select(AuditEntry.subject).where(*named, AuditEntry.subject.is_not(None)).limit(1))
        if subject is not None and erase.ask(self.broker, ACTOR, line.of("tenant"), subject)[1]:
            self.subjects.add(line.of("subject"))

    def _tenant(self, session: Session, line: Line) -> None:  # noqa: ARG002 - as the others
        self.done.tenants.append(line.of("tenant"))

    def _app(self, session: Session, line: Line) -> None:
        row = session.get(OwnProviderApp, line.of("app"))
        if row and row.live:
            row.live, row.removed_at, row.client_secret = None, self.broker.clock(), None
            audit.note(session, "provider_app.removed", tenant=row.tenant, actor=ACTOR, app=row.id)
            self.done.apps += 1
        self._destroy_key(session, line)

    def _client(self, session: Session, line: Line) -> None:
        disabled = update(Client).where(Client.id == line.of("client"), Client.disabled_at.is_(None))
        if session.connection().execute(disabled.values(disabled_at=self.broker.clock())).rowcount:
            audit.note(session, "client.disabled", actor=ACTOR, client=line.of("client"))
            self.done.clients += 1

    def _destroy_key(self, session: Session, line: Line) -> None:
        """Whether or not its row is here: a key store of its own may have been put back alone."""
        name = KEY_NAMES.get(line.what)
        if name and line.of(name[1]):
            key = name[0] + line.of(name[1])
            self.done.shredded += self.broker.vault.shred(session, tenant=line.of("tenant"), connection=key)

    def _forget_uses(self, session: Session) -> None:
        """What was good for one use may have been used since, and a token of a caller may have been revoked since."""
        session.execute(delete(AccessToken))
        begun = select(ConnectSession).where(ConnectSession.status.in_(("open", "pending")))
        for row in session.scalars(begun.with_for_update()).all():
            end_session(self.broker, session, row, "failed", actor=ACTOR)
            self.done.sessions += 1


ACTS: Mapping[str, Callable[[_Replay, Session, Line], None]] = {
    "connection.revoked": _Replay._revoked,
    "connection.shredded": _Replay._shredded,
    "grant.withdrawn": _Replay._withdrawn,
    "grant.narrowed": _Replay._narrowed,
    "orphan.ended": _Replay._orphan,
    "subject.erasure_asked": _Replay._erased,
    "subject.erased": _Replay._erased,
    "tenant.erased": _Replay._tenant,
    "provider_app.removed": _Replay._app,
    "client.disabled": _Replay._client,
}
KEY_NAMES = {
    "connection.shredded": ("", "connection"),
    "orphan.ended": ("orphan:", "orphan"),
    "provider_app.removed": ("app:", "app"),
}
"""What a line destroys in the key store: the key's name, and what it is named after."""
