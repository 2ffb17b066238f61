"""Signing: what the broker states about itself, as a compact JWS that anybody can check without asking it.

    first use, or a rotation ─► a new key; its private half sealed, the older ones' private halves destroyed
    signed ─► {…, "iss", "iat"} under the newest key ─► verified(jws, the key set of /oauth/jwks)

Public halves stay for good, so that a receipt of years ago still verifies. No private key leaves this module.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import KeySet, KeySetSerialization, OKPKey
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker import audit, strict_json
from broker.db import insert_if_missing
from broker.models import SigningKey
from broker.runtime import Broker
from broker.vault import Undecryptable

ALGORITHM = "Ed25519"
"""RFC 9864. The same statement is signed alike each time, by any process."""
TENANT = "*signing"
"""No tenant's name: under it the vault keeps the keys that seal private keys."""
FIRST = 1
"""Generation."""
TRIES = 3
"""To sign, each with the newest key: a rotation in between destroys the one that was just read."""
LONGEST = 16 * 1024 * 1024
"""Characters of a signed statement that is looked at: a receipt of 10,000 connections has about three million."""


class NotGenuine(ValueError):
    """A signed statement does not check out; the text says why."""


def signed(broker: Broker, payload: Mapping[str, Any], *, typ: str, at: datetime | None = None) -> str:
    """A compact JWS (RFC 7515) over the payload and `iss` and `iat` (seconds, `at` or now); its header names `typ` and
    the key.

    Not inside a transaction of the caller's. Raises `Unavailable`.
    """
    issued = at or broker.clock()
    claims = {**payload, "iss": broker.settings.public_url, "iat": int(issued.timestamp())}
    kid, private = _signing_key(broker)
    named = {"alg": ALGORITHM, "typ": typ, "kid": kid}
    text = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
    return jws.serialize_compact(named, text.encode(), private, algorithms=[ALGORITHM])


def verified(statement: str, jwks: Mapping[str, Any], *, typ: str | None = None) -> dict[str, Any]:
    """The payload of a signed statement. It asks nobody: no database, no network, no settings.

    Raises `NotGenuine`: it is none, is of another type, is signed by a key that is not in the set, or was altered.
    """
    named = header(statement)
    if named.get("alg") != ALGORITHM:
        raise NotGenuine(f"It is not signed with {ALGORITHM}.")
    if typ is not None and named.get("typ") != typ:
        raise NotGenuine(f"It is no {typ}.")
    key = _key_of(jwks, named.get("kid"))
    try:
        payload = strict_json.parse(jws.deserialize_compact(statement, key, algorithms=[ALGORITHM]).payload)
    except BadSignatureError:
        raise NotGenuine("The signature does not fit: it was altered, or signed by another key.") from None
    except (JoseError, ValueError, TypeError):
        raise NotGenuine("It cannot be read.") from None
    if not isinstance(payload, dict):
        raise NotGenuine("It holds no statement.")
    return payload


def header(statement: str) -> dict[str, Any]:
    """The header of a signed statement: `alg`, `typ`, `kid`; nothing of it is verified. Raises `NotGenuine`."""
    if len(statement) > LONGEST:
        raise NotGenuine("It is too long.")
    try:
        found = jws.extract_compact(statement.encode("ascii")).headers()
    except (JoseError, ValueError, TypeError):
        raise NotGenuine("It is no signed statement: three parts with dots between them.") from None
    return dict(found)


def public_keys(broker: Broker) -> dict[str, Any]:
    """The JWK Set (RFC 7517) by which everything that was ever signed here verifies, the newest key first; none is
    private. Raises `Unavailable`."""
    _signing_key(broker)
    with broker.database.read() as session:
        rows = session.scalars(select(SigningKey).order_by(SigningKey.generation.desc())).all()
    return {"keys": [row.public for row in rows]}


def rotate(broker: Broker) -> str:
    """Sign with a new key from now on; its id. What was signed before still verifies. Raises `Unavailable`."""
    with broker.database.write() as session:
        newest = session.scalar(select(func.max(SigningKey.generation))) or 0
        _make(broker, session, newest + 1)
        older = select(SigningKey).where(SigningKey.generation <= newest, SigningKey.private.is_not(None))
        for row in session.scalars(older.order_by(SigningKey.generation).with_for_update()).all():
            row.private = None
            broker.vault.shred(session, tenant=TENANT, connection=row.kid)
        return session.get_one(SigningKey, newest + 1).kid


def _signing_key(broker: Broker) -> tuple[str, OKPKey]:
    tries = TRIES
    while True:
        with broker.database.read() as session:
            row = _newest(session)
            try:
                if row is not None:
                    return row.kid, _opened(broker, session, row)
            except Undecryptable:
                tries -= 1
                if not tries:
                    raise
                continue
        with broker.database.write() as session:
            _make(broker, session, FIRST)


def _newest(session: Session) -> SigningKey | None:
    return session.scalar(select(SigningKey).order_by(SigningKey.generation.desc()).limit(1))


def _make(broker: Broker, session: Session, generation: int) -> None:
    """Make the key of a generation, unless another process makes it at the same time: the row decides."""
    private = OKPKey.generate_key("Ed25519", private=True)
    kid = private.thumbprint()
    public = {**private.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    values = {"kid": kid, "public": public, "created_at": broker.clock()}
    if not insert_if_missing(session, SigningKey, {"generation": generation}, values):
        return
    broker.vault.new_key(session, tenant=TENANT, connection=kid)
    row = session.get_one(SigningKey, generation)
    row.private = broker.vault.seal(
        session,
        tenant=TENANT,
        connection=kid,
        column="private",
        version=generation,
        plaintext=json.dumps(private.as_dict(private=True)).encode(),
    )
    audit.note(session, "signing_key.made", kid=kid, generation=generation)


def _opened(broker: Broker, session: Session, row: SigningKey) -> OKPKey:
    plaintext = broker.vault.open(
        session, tenant=TENANT, connection=row.kid, column="private", version=row.generation, blob=row.private
    )
    return OKPKey.import_key(json.loads(plaintext))


def _key_of(jwks: Mapping[str, Any], kid: object) -> OKPKey:
    try:
        keys = KeySet.import_key_set(cast(KeySetSerialization, dict(jwks))).keys
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise NotGenuine("The key set cannot be read: it must be a JWK Set.") from None
    found = [key for key in keys if key.kid == kid and isinstance(key, OKPKey)]
    if not found:
        raise NotGenuine("It is signed by a key that is not in the key set.")
    return found[0]
