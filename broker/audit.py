"""Audit: every state change, written in its own transaction, in one hash chain a tenant that verifies offline.

    note(session, …)  ─►  before the transaction commits: the tenant's head is locked, the entries are appended

An entry that cannot be written undoes the change that it tells of. A chain shows that nothing was changed, left out or
put in; that the newest entries were not cut off, or all of it made anew, only an export kept elsewhere shows
(docs/facts/security.md §7.4). The hashed text holds a keyed hash of the subject, so that an erasure can take the
subject away and the chain still verifies.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.db import Database, insert_if_missing
from broker.models import AuditEntry, AuditHead
from broker.vault import ROOT, Vault, lp

GENESIS = bytes(32)
LONGEST_DETAIL = 4096
"""Characters of an entry's detail; longer texts in it are cut (PRV-30)."""
BATCH = 500
ERASED = "subject.erased"
"""Its own entry does not name the subject again."""


@dataclass(frozen=True)
class Noted:
    """What one transaction does, as it will stand in the audit."""

    tenant: str
    actor: str
    """A client's id, or `subject`, `provider`, `operator`, `broker`: whose act it was."""
    action: str
    subject: str | None = None
    connection: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def note(
    session: Session,
    action: str,
    /,
    *,
    tenant: str = ROOT,
    actor: str = "broker",
    subject: str | None = None,
    connection: str | None = None,
    **detail: Any,  # noqa: ANN401 - any JSON
) -> None:
    """Say what this transaction changes. No token, code or address of a person may stand in `detail`."""
    entry = Noted(tenant, actor, action, subject, connection, {k: v for k, v in detail.items() if v is not None})
    session.info.setdefault("noted", []).append(entry)


def appender(vault: Vault, clock: Callable[[], datetime]) -> Callable[[Session], None]:
    """What a `Database` calls before each commit: it appends what was noted, tenant by tenant in one order, so that
    two transactions cannot wait for each other; heads are locked last of all, and only until the commit."""

    def append(session: Session) -> None:
        noted: list[Noted] = session.info.pop("noted", [])
        session.info.setdefault("audited", []).extend(noted)
        for tenant in sorted({entry.tenant for entry in noted}):
            _append(session, vault, clock(), tenant, [entry for entry in noted if entry.tenant == tenant])

    return append


def _append(session: Session, vault: Vault, now: datetime, tenant: str, noted: list[Noted]) -> None:
    insert_if_missing(session, AuditHead, {"tenant": tenant}, {"seq": 0, "hash": GENESIS})
    query = select(AuditHead).where(AuditHead.tenant == tenant).with_for_update()
    head = session.scalars(query.execution_options(populate_existing=True)).one()
    _hash_subjects(session, vault, tenant, {entry.subject for entry in noted if entry.subject})
    for entry in noted:
        row = AuditEntry(
            tenant=tenant,
            seq=head.seq + 1,
            id=_ordered_id(now, head.seq + 1),
            at=now,
            actor=entry.actor,
            action=entry.action,
            subject=None if entry.action == ERASED else entry.subject,
            subject_hash=subject_hash(session, vault, tenant, entry.subject) if entry.subject else None,
            connection=entry.connection,
            detail=_canonical(entry.detail),
            previous=head.hash,
        )
        row.hash = hashed(row)
        head.seq, head.hash = row.seq, row.hash
        session.add(row)


def subject_hash(session: Session, vault: Vault, tenant: str, subject: str) -> str:
    """A keyed hash that stays when the subject itself was erased."""
    known: dict[tuple[str, str], str] = session.info.get("subject_hashes", {})
    if (tenant, subject) in known:
        return known[tenant, subject]
    return vault.blind_index(session, provider="audit", client_id=tenant, value=subject).hex()


def _hash_subjects(session: Session, vault: Vault, tenant: str, subjects: Collection[str]) -> None:
    """For the rest of the transaction: a mass revocation says four things of each of ten thousand subjects."""
    if len(subjects) > 1:
        ordered = sorted(subjects)
        hashes = vault.blind_indexes(session, provider="audit", client_id=tenant, values=ordered)
        found = {(tenant, subject): value.hex() for subject, value in zip(ordered, hashes, strict=True)}
        session.info.setdefault("subject_hashes", {}).update(found)


def hashed(row: AuditEntry) -> bytes:
    """The entry's hash: over every field but the subject's clear form, and the hash before it."""
    fields = (
        row.tenant,
        row.seq,
        row.id,
        row.at.isoformat(timespec="microseconds"),
        row.actor,
        row.action,
        row.subject_hash or "",
        row.connection or "",
        row.detail,
    )
    return hashlib.sha256(b"\x00" + lp(*fields) + row.previous).digest()


def _ordered_id(now: datetime, seq: int) -> str:
    """Ids sort by time and place, so that a listing can be continued behind the last one."""
    return f"aud_{int(now.timestamp() * 1000):012x}{seq:010x}{os.urandom(5).hex()}"


def _canonical(detail: Mapping[str, Any]) -> str:
    text = json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text if len(text) <= LONGEST_DETAIL else json.dumps({"cut": text[: LONGEST_DETAIL // 2]})


# --- verifying and exporting ---------------------------------------------------------------------------------


def entries(database: Database, tenant: str | None = None) -> Iterator[AuditEntry]:
    """Every entry, chain by chain in order, read in batches."""
    last: tuple[str, int] = ("", 0)
    while True:
        query = select(AuditEntry).order_by(AuditEntry.tenant, AuditEntry.seq).limit(BATCH)
        query = query.where(
            (AuditEntry.tenant > last[0]) | ((AuditEntry.tenant == last[0]) & (AuditEntry.seq > last[1]))
        )
        if tenant is not None:
            query = query.where(AuditEntry.tenant == tenant)
        with database.read() as session:
            batch = session.scalars(query).all()
        if not batch:
            return
        yield from batch
        last = (batch[-1].tenant, batch[-1].seq)


def exported(row: AuditEntry) -> dict[str, Any]:
    """One entry as a line of an export: all that its hash covers, and the hash."""
    return {
        "tenant": row.tenant,
        "seq": row.seq,
        "id": row.id,
        "at": row.at.isoformat(timespec="microseconds"),
        "actor": row.actor,
        "action": row.action,
        "subject_hash": row.subject_hash,
        "connection": row.connection,
        "detail": row.detail,
        "previous": row.previous.hex(),
        "hash": row.hash.hex(),
    }


def imported(line: Mapping[str, Any]) -> AuditEntry:
    """A line of an export as an entry again. Raises `ValueError`, `KeyError`, `TypeError` for what is none."""
    given = {name: line[name] for name in ("tenant", "seq", "id", "actor", "action", "subject_hash", "connection")}
    if not isinstance(given["seq"], int) or not isinstance(line["detail"], str):
        raise TypeError("not an entry")
    hashes = {name: bytes.fromhex(line[name]) for name in ("previous", "hash")}
    return AuditEntry(**given, **hashes, at=datetime.fromisoformat(line["at"]), detail=line["detail"])


class Chains:
    """Checks entries in the order of their chains; the first fault of each chain is kept."""

    def __init__(self) -> None:
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.faults: dict[str, str] = {}
        self.count = 0

    def check(self, row: AuditEntry) -> None:
        self.count += 1
        seq, previous = self.heads.get(row.tenant, (0, GENESIS))
        if row.tenant not in self.faults:
            if row.seq != seq + 1:
                self.faults[row.tenant] = f"entry {seq + 1} is missing or out of order"
            elif row.previous != previous:
                self.faults[row.tenant] = f"entry {row.seq} does not follow the one before it"
            elif hashed(row) != row.hash:
                self.faults[row.tenant] = f"entry {row.seq} was changed"
        self.heads[row.tenant] = (row.seq, row.hash)

    def check_heads(self, recorded: Mapping[str, tuple[int, bytes]]) -> None:
        """The newest entry of each chain must be the one that is recorded as its head."""
        for tenant, head in recorded.items():
            if self.heads.get(tenant, (0, GENESIS)) != head:
                self.faults.setdefault(tenant, f"entries after {self.heads.get(tenant, (0, b''))[0]} are missing")
        for tenant in self.heads.keys() - recorded.keys():
            self.faults.setdefault(tenant, "the chain has no head")


def recorded_heads(database: Database) -> dict[str, tuple[int, bytes]]:
    with database.read() as session:
        return {row.tenant: (row.seq, row.hash) for row in session.scalars(select(AuditHead)) if row.seq}
