"""The verbs: seal, open, shred, rewrap. Everything here is one step inside the caller's transaction."""

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection as DatabaseConnection
from sqlalchemy import and_, func, insert, select, update

from broker.keyring import KEY, KeySource, Random, draw
from broker.models import ConnectionKey, TenantKey
from broker.secret import SecretBytes
from broker.vault import cipher, rows, store
from broker.vault.cipher import ID, SALT, Dek, Place, Sealed, Undecryptable
from broker.vault.memory import Unwrapped
from broker.vault.rows import ROOT, KeyRows, KeyStatus, TenantRow, key_rows, primary_row
from broker.vault.store import ALL, Keys, changing, reading, refuse_while_owed

FIRST = 1
"""A tenant's first generation of keys."""


class Vault:
    """Share one among the threads of a process; it keeps nothing but unwrapped tenant keys, for minutes.

    Connection keys are read at every use, so that shredding takes effect at once. What cannot be opened raises
    `Undecryptable` and nothing else; a random or key source that fails raises `Unavailable` before anything is written.
    """

    def __init__(
        self,
        key_source: KeySource,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        random: Random = os.urandom,
    ) -> None:
        self._source = key_source
        self._clock = clock
        self._random = random
        self._unwrapped = Unwrapped(monotonic)

    def new_key(self, keys: Keys, *, tenant: str, connection: str) -> None:
        """Give a connection its key, and its tenant one if it has none. Does nothing where it exists."""
        _refuse_reserved(tenant)
        refuse_while_owed(keys, tenant=tenant, connection=connection)
        with changing(keys) as database:
            if key_rows(database, tenant, connection):
                return
            primary = primary_row(database, tenant) or self._make_tenant_key(database, tenant, FIRST)
            dek = Dek(draw(self._random, ID), SecretBytes(draw(self._random, KEY)))
            wrapped = self._wrap_dek(tenant, connection, primary, dek)
            row = {"dek_id": dek.id, "tenant": tenant, "connection": connection, "tk_id": primary.tk_id}
            rows.insert_once(database, insert(ConnectionKey).values(**row, wrapped=wrapped, created_at=self._clock()))

    def seal(self, keys: Keys, *, tenant: str, connection: str, column: str, version: int, plaintext: bytes) -> bytes:
        """A blob, 92 bytes longer, that opens only under the same tenant, connection, column and version."""
        plaintext = SecretBytes(plaintext)
        with reading(keys) as database:
            found = key_rows(database, tenant, connection)
        dek = self._dek(tenant, connection, found)
        return cipher.seal(dek, Place(tenant, connection, column, version), draw(self._random, SALT), plaintext)

    def open(self, keys: Keys, *, tenant: str, connection: str, column: str, version: int, blob: bytes | None) -> bytes:
        """What `seal` was given; one SELECT. An empty column does not open either."""
        Sealed.parse(blob)
        with reading(keys) as database:
            found = key_rows(database, tenant, connection)
        return self.open_prefetched(
            tenant=tenant, connection=connection, column=column, version=version, blob=blob, rows=found
        )

    def open_prefetched(
        self, *, tenant: str, connection: str, column: str, version: int, blob: bytes | None, rows: KeyRows | None
    ) -> bytes:
        """`open`, where the caller's own SELECT fetched the key rows; None if there were none."""
        sealed = Sealed.parse(blob)
        dek = self._dek(tenant, connection, rows)
        return sealed.open(dek, Place(tenant, connection, column, version))

    def blind_index(self, keys: Keys, *, provider: str, client_id: str, value: str) -> bytes:
        """32 bytes, equal for equal values at one provider and client, and telling nothing else (§4.2.4).

        Makes the root at first use; raises `Undecryptable` where that would fall into autocommit.
        """
        return self.blind_indexes(keys, provider=provider, client_id=client_id, values=[value])[0]

    def blind_indexes(self, keys: Keys, *, provider: str, client_id: str, values: Iterable[str]) -> list[bytes]:
        """`blind_index` of each; the root is read once."""
        with reading(keys) as database:
            root = primary_row(database, ROOT)
        if root is None:
            with changing(keys) as database:
                if database.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
                    raise Undecryptable("no tenant key")
                root = self._make_tenant_key(database, ROOT, FIRST)
        key = self._tenant_key(ROOT, root)
        return [cipher.blind_index(key, provider, client_id, value) for value in values]

    # --- shredding -------------------------------------------------------------------------------------------

    def shred(self, keys: Keys, *, tenant: str, connection: str) -> bool:
        """Destroy a connection's key: what it sealed is lost. False where there was none."""
        return store.shred(keys, tenant=tenant, connection=connection, now=self._clock())

    def shred_tenant(self, keys: Keys, *, tenant: str) -> bool:
        """Destroy a tenant's keys: restored connection keys do not open either. False where there was none."""
        _refuse_reserved(tenant)
        found = store.shred(keys, tenant=tenant, connection=ALL, now=self._clock())
        self._unwrapped.drop(tenant)
        return found

    def forget(self) -> None:
        """Drop every unwrapped key, as at SIGTERM."""
        self._unwrapped.drop()

    # --- rotation (§4.2.7); from end to end: `broker.vault.rotation` -----------------------------------------------

    @property
    def primary(self) -> str:
        """Id of the key encryption key that wraps."""
        return self._source.primary

    def now(self) -> datetime:
        return self._clock()

    def check_keys(self, keys: Keys) -> None:
        """Compare the key encryption keys with their recorded check values; record those of new ones.

        Raises `ConfigurationError`, having written nothing, when a known id has another key, or an id that
        still wraps tenant keys has none (CRY-06).
        """
        with changing(keys) as database:
            rows.check_keys(database, self._source)

    def status(self, keys: Keys) -> list[KeyStatus]:
        """Each key encryption key that is held or wraps something, by id."""
        with reading(keys) as database:
            return rows.key_status(database, self._source)

    def rewrap_tenant_key(self, keys: Keys, *, tenant: str, tk_id: bytes) -> bool:
        """Wrap a tenant's key under the primary key encryption key; False if it was. Compare-and-set."""
        with changing(keys) as database:
            row = next((row for row in rows.tenant_rows(database, tenant) if row.tk_id == tk_id), None)
            if row is None or row.kid == self._source.primary:
                return False
            kid, wrapped = self._wrap_tk(database, tenant, tk_id, self._unwrap_tk(tenant, row))
            unchanged = and_(TenantKey.tenant == tenant, TenantKey.tk_id == tk_id, TenantKey.wrapped == row.wrapped)
            change = update(TenantKey).where(unchanged).values(kid=kid, wrapped=wrapped)
            return database.execute(change).rowcount > 0

    def new_tenant_key(self, keys: Keys, *, tenant: str) -> None:
        """A further generation, which wraps from now on; `rewrap_connection_key` brings the others over."""
        _refuse_reserved(tenant)
        with changing(keys) as database:
            newest = database.scalar(select(func.max(TenantKey.generation)).where(TenantKey.tenant == tenant))
            self._make_tenant_key(database, tenant, (newest or 0) + 1)

    def rewrap_connection_key(self, keys: Keys, *, tenant: str, connection: str) -> bool:
        """Wrap a connection's key under its tenant's newest; False if it was, or is shredded. Compare-and-set."""
        with changing(keys) as database:
            found, primary = key_rows(database, tenant, connection), primary_row(database, tenant)
            if found is None or primary is None or primary.tk_id == found.tk_id:
                return False
            dek = self._dek(tenant, connection, found)
            wrapped = self._wrap_dek(tenant, connection, primary, dek)
            unchanged = and_(ConnectionKey.dek_id == dek.id, ConnectionKey.wrapped == found.wrapped_dek)
            change = update(ConnectionKey).where(unchanged).values(tk_id=primary.tk_id, wrapped=wrapped)
            return database.execute(change).rowcount > 0

    # --- layers of keys --------------------------------------------------------------------------------------

    def _make_tenant_key(self, database: DatabaseConnection, tenant: str, generation: int) -> TenantRow:
        """Make a tenant's key, or find the one of this generation that another process makes at the same time.

        Whoever saw no key makes the first and no other: a second root would strand the indexes of the first.
        """
        tk_id = draw(self._random, ID)
        kid, wrapped = self._wrap_tk(database, tenant, tk_id, SecretBytes(draw(self._random, KEY)))
        row = {"tenant": tenant, "generation": generation, "tk_id": tk_id, "kid": kid, "wrapped": wrapped}
        rows.insert_once(database, insert(TenantKey).values(**row, created_at=self._clock()))
        primary = primary_row(database, tenant)
        if primary is None:
            raise Undecryptable("no tenant key")
        return primary

    def _wrap_tk(self, database: DatabaseConnection, tenant: str, tk_id: bytes, key: SecretBytes) -> tuple[str, bytes]:
        """Never under a key that others do not have by that id, even where `check_keys` was left out (CRY-06)."""
        kid, wrapped = self._source.wrap(key, cipher.tk_context(tenant, tk_id))
        value = self._source.check_values().get(kid)
        if value is None or not rows.is_genuine(database, kid, value):
            raise Undecryptable("wrong KEK")
        return kid, wrapped

    def _tenant_key(self, tenant: str, row: TenantRow) -> SecretBytes:
        key = self._unwrapped.get(tenant, row)
        if key is None:
            key = self._unwrap_tk(tenant, row)
            self._unwrapped.put(tenant, row, key)
        return key

    def _unwrap_tk(self, tenant: str, row: TenantRow) -> SecretBytes:
        key = SecretBytes(self._source.unwrap(row.kid, row.wrapped, cipher.tk_context(tenant, row.tk_id)))
        if len(key) != KEY:
            raise Undecryptable("wrap length")
        return key

    def _dek(self, tenant: str, connection: str, found: KeyRows | None) -> Dek:
        if found is None:
            raise Undecryptable("no DEK (shredded)")
        if found.kid is None or found.wrapped_tk is None:
            raise Undecryptable("no tenant key")
        tenant_key = self._tenant_key(tenant, TenantRow(found.tk_id, found.kid, found.wrapped_tk))
        context = cipher.dek_context(tenant, connection, found.tk_id, found.dek_id)
        return Dek(found.dek_id, cipher.unwrap(tenant_key, found.wrapped_dek, context))

    def _wrap_dek(self, tenant: str, connection: str, row: TenantRow, dek: Dek) -> bytes:
        context = cipher.dek_context(tenant, connection, row.tk_id, dek.id)
        return cipher.wrap(self._tenant_key(tenant, row), dek.key, context, self._random)


def _refuse_reserved(tenant: str) -> None:
    if tenant == ROOT:
        raise ValueError("the tenant * is the broker's own: without its key every blind index is stranded")
