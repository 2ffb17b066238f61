"""The consent ledger: each grant, narrowing and withdrawal leaves a receipt, in the transaction of the change itself.

The receipt is a record in the terms of ISO/IEC TS 27560: who gave what to whom, for what purpose, by which words, when
(docs/facts/security.md §7.2). It is written once; a later event is a record of its own, so that what was true then
can be shown for good. It names the user by a keyed hash alone, and so outlives an erasure.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.audit import Noted, subject_hash
from broker.consent import ConsentText
from broker.db import insert_if_missing
from broker.models import Connection, ConnectSession, Consent, ConsentWording, Grant
from broker.secret import fresh_id
from broker.vault import Vault

SCHEMA = "ISO/IEC TS 27560:2023"
EVENTS = {"grant.given": "given", "grant.narrowed": "narrowed", "grant.withdrawn": "withdrawn"}
"""Action in the audit → event."""
AT_ONCE = 500


class _Key(NamedTuple):
    connection: str
    connector: str


def keep_wording(session: Session, text: ConsentText, now: datetime) -> str:
    """Keep what a consent page says, once; gives the hash by which grants name it."""
    hashed = text.fingerprint()
    values = {"language": text.locale, "text": text.wording(), "first_shown_at": now}
    insert_if_missing(session, ConsentWording, {"hash": hashed}, values)
    return hashed


def recorder(vault: Vault, clock: Callable[[], datetime]) -> Callable[[Session], None]:
    """What a `Database` calls before each commit, behind the audit's appender: a receipt of each act on a grant."""

    def record(session: Session) -> None:
        audited: list[Noted] = [entry for entry in session.info.get("audited", ()) if entry.action in EVENTS]
        for first in range(0, len(audited), AT_ONCE):
            _record(session, vault, clock(), audited[first : first + AT_ONCE])

    return record


def _record(session: Session, vault: Vault, now: datetime, audited: Sequence[Noted]) -> None:
    """A few statements for all of them: a mass revocation withdraws ten thousand grants."""
    ids = {str(entry.connection) for entry in audited}
    grants, earlier = _newest_grants(session, ids), _newest_consents(session, ids)
    connections = {row.id: row for row in session.scalars(select(Connection).where(Connection.id.in_(ids)))}
    given = {grants[key].session_id for entry in audited if (key := _key(entry)) in grants and _gives(entry)}
    sessions = {row.id: row for row in session.scalars(select(ConnectSession).where(ConnectSession.id.in_(given)))}
    titles = _titles(session, {grants[key].consent_text_hash for key in map(_key, audited) if key in grants})
    hashes: dict[tuple[str, str], str] = {}
    for entry in audited:
        key = _key(entry)
        grant, before, connection = grants.get(key), earlier.get(key), connections[key.connection]
        if grant is None:
            continue
        if _gives(entry) or before is None or before.grant_id != grant.id:
            who = (entry.tenant, connection.subject)
            if who not in hashes:
                hashes[who] = subject_hash(session, vault, *who)
            words = titles.get(grant.consent_text_hash, {}).get(grant.connector, {})
            record = _given(hashes[who], connection, grant, sessions.get(grant.session_id), words)
        else:
            record = json.loads(before.record)
        row = _row(entry, connection, grant, record, now)
        session.add(row)
        earlier[key] = row


def _key(entry: Noted) -> _Key:
    return _Key(str(entry.connection), str(entry.detail.get("connector")))


def _gives(entry: Noted) -> bool:
    return EVENTS[entry.action] == "given"


def _newest_grants(session: Session, connections: Collection[str]) -> dict[_Key, Grant]:
    query = select(Grant).where(Grant.connection_id.in_(connections)).order_by(Grant.granted_at)
    found: dict[_Key, Grant] = {}
    for row in session.scalars(query):
        key = _Key(row.connection_id, row.connector)
        if row.live or not (key in found and found[key].live):
            found[key] = row
    return found


def _newest_consents(session: Session, connections: Collection[str]) -> dict[_Key, Consent]:
    query = select(Consent).where(Consent.connection.in_(connections)).order_by(Consent.at)
    return {_Key(row.connection, row.connector): row for row in session.scalars(query)}


def _titles(session: Session, hashes: Collection[str]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Wording's hash → connector → what the page said of it."""
    query = select(ConsentWording).where(ConsentWording.hash.in_(hashes))
    return {
        row.hash: {one["name"]: one for one in json.loads(row.text)["connectors"]} for row in session.scalars(query)
    }


def _given(
    subject: str, connection: Connection, grant: Grant, attempt: ConnectSession | None, words: Mapping[str, Any]
) -> dict[str, Any]:
    """Header and processing of a record; its event comes with `_row`."""
    return {
        "schema_version": SCHEMA,
        "pii_principal_id": subject,
        "privacy_notice": {
            "text_hash": grant.consent_text_hash,
            "language": grant.locale,
            "url": attempt.privacy_url if attempt else None,
        },
        "purposes": [
            {
                "purpose": grant.purpose,
                "lawful_basis": "consent",
                "pii_categories": [
                    {"resource": resource, "fields": sorted(fields)}
                    for resource, fields in sorted(grant.fields.items())
                ],
                "as_shown": [words[name] for name in ("title", "reads", "optional") if words.get(name)],
                "scopes": sorted(grant.scopes),
                "pii_source": connection.provider,
                "controllers": [{"tenant": connection.tenant, "name": attempt.tenant_label if attempt else None}],
                "recipient_third_parties": [{"connector": grant.connector}],
                "collection_method": "consent page of the broker, then the provider's own",
                "retention_period": "until withdrawn: the broker passes data on and stores none of them",
                "withdrawal_method": "in the sales app, on the user's own page at the broker, or at the provider",
                "connection": connection.id,
                "connect_session": grant.session_id,
            }
        ],
    }


def _row(entry: Noted, connection: Connection, grant: Grant, record: dict[str, Any], now: datetime) -> Consent:
    event = EVENTS[entry.action]
    happened = {"time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "type": event}
    if "assets" in entry.detail:
        happened["assets"] = entry.detail["assets"]
    record = {**record, "record_id": fresh_id("cns"), "events": [{**happened, "entity": entry.actor}]}
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Consent(
        id=record["record_id"],
        tenant=connection.tenant,
        subject=connection.subject,
        subject_hash=record["pii_principal_id"],
        connection=connection.id,
        grant_id=grant.id,
        connector=grant.connector,
        event=event,
        at=now,
        record=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
    )


def shown(row: Consent, wording: ConsentWording | None) -> dict[str, Any]:
    """A consent as callers see it: the record, its hash, and the wording in full."""
    return {
        "id": row.id,
        "tenant": row.tenant,
        "subject": row.subject,
        "connection": row.connection,
        "connector": row.connector,
        "event": row.event,
        "at": row.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "record": json.loads(row.record),
        "record_hash": row.hash,
        "text_hash": wording.hash if wording else None,
        "text": json.loads(wording.text) if wording else None,
    }


def wordings(session: Session, rows: Iterable[Consent]) -> dict[str, ConsentWording]:
    """Consent's id → what the page said."""
    named = {row.id: json.loads(row.record)["privacy_notice"]["text_hash"] for row in rows}
    found = session.scalars(select(ConsentWording).where(ConsentWording.hash.in_(set(named.values()))))
    by_hash = {row.hash: row for row in found}
    return {consent: by_hash[hashed] for consent, hashed in named.items() if hashed in by_hash}
