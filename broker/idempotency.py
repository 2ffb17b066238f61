"""Idempotency keys: a request repeated with its key is answered as the first was, and is done once (contract §2).

    claim (a row) ─► act ─► the answer is kept sealed for a day ─► a repetition is given it

An answer may hold a one-time address, so it is sealed under a key of its own, which is shredded when the day is over.
A claim whose process died is taken over; an answer of 429 or from 500 on is not kept, for that may be tried again.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from broker.db import insert_if_missing
from broker.errors import InvalidRequest, Unavailable
from broker.models import IdempotentAnswer
from broker.runtime import Broker
from broker.secret import fresh_id

LIFETIME = timedelta(hours=24)
TENANT = "*idempotency"
"""No tenant's name: under it the vault keeps the keys of kept answers."""
POLL = 0.05


@dataclass(frozen=True)
class Kept:
    """An answer as it is repeated."""

    status: int
    body: str
    content_type: str


@dataclass(frozen=True)
class Claim:
    """This request, and no other with its key, is being done. `id` is the same for whoever takes it over."""

    id: str
    claimed_at: datetime


def once(broker: Broker, client_id: str, key: str, fingerprint: bytes, act: Callable[[Claim], Kept]) -> Kept:
    """Do it, or repeat the answer. Raises `InvalidRequest` where the key came with another request, `Unavailable`
    where the first is still being done."""
    deadline = time.monotonic() + broker.settings.request_deadline
    key_hash = hashlib.sha256(key.encode()).digest()
    while True:
        found = _claim(broker, client_id, key_hash, fingerprint)
        if isinstance(found, Kept):
            return found
        if isinstance(found, Claim):
            return _done(broker, found, act)
        if time.monotonic() > deadline:
            raise Unavailable("The first request with this Idempotency-Key is still being done. Repeat this one.")
        time.sleep(POLL)


def _done(broker: Broker, claim: Claim, act: Callable[[Claim], Kept]) -> Kept:
    try:
        kept = act(claim)
    except BaseException:
        _release(broker, claim)
        raise
    if kept.status >= 500 or kept.status == 429:
        _release(broker, claim)
    else:
        _keep(broker, claim, kept)
    return kept


def _claim(broker: Broker, client_id: str, key_hash: bytes, fingerprint: bytes) -> Claim | Kept | None:
    """None: another request is doing it."""
    now = broker.clock()
    values = {"id": fresh_id("idm"), "fingerprint": fingerprint, "claimed_at": now, "expires_at": now + LIFETIME}
    with broker.database.write() as session:
        made = insert_if_missing(session, IdempotentAnswer, {"client_id": client_id, "key_hash": key_hash}, values)
        query = select(IdempotentAnswer).filter_by(client_id=client_id, key_hash=key_hash).with_for_update()
        row = session.scalars(query).one()
        if row.expires_at <= now:
            _forget(broker, session, row)
            return None
        if row.fingerprint != fingerprint:
            problem = {"field": "Idempotency-Key", "problem": "came with another request before"}
            raise InvalidRequest("This Idempotency-Key came with another request before.", errors=[problem])
        if row.answer is not None:
            return _opened(broker, session, row)
        if made or row.claimed_at < now - timedelta(seconds=2 * broker.settings.request_deadline):
            row.claimed_at = now
            return Claim(row.id, now)
        return None


def _keep(broker: Broker, claim: Claim, kept: Kept) -> None:
    with broker.database.write() as session:
        row = _held(session, claim)
        if row is None:
            return
        broker.vault.new_key(session, tenant=TENANT, connection=row.id)
        row.answer = broker.vault.seal(
            session,
            tenant=TENANT,
            connection=row.id,
            column="answer",
            version=0,
            plaintext=json.dumps([kept.status, kept.body, kept.content_type]).encode(),
        )


def _opened(broker: Broker, session: Session, row: IdempotentAnswer) -> Kept:
    plaintext = broker.vault.open(
        session, tenant=TENANT, connection=row.id, column="answer", version=0, blob=row.answer
    )
    return Kept(*json.loads(plaintext))


def _release(broker: Broker, claim: Claim) -> None:
    with broker.database.write() as session:
        if row := _held(session, claim):
            session.delete(row)


def _held(session: Session, claim: Claim) -> IdempotentAnswer | None:
    query = select(IdempotentAnswer).filter_by(id=claim.id, claimed_at=claim.claimed_at).with_for_update()
    return session.scalars(query).one_or_none()


def _forget(broker: Broker, session: Session, row: IdempotentAnswer) -> None:
    broker.vault.shred(session, tenant=TENANT, connection=row.id)
    session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.id == row.id))


def sweep(broker: Broker, session: Session, now: datetime) -> None:
    """Forget what is older than a day, keys first of all."""
    expired = select(IdempotentAnswer).where(IdempotentAnswer.expires_at <= now).limit(500)
    for row in session.scalars(expired.with_for_update(skip_locked=True)).all():
        _forget(broker, session, row)
