"""The secret of a tenant's own provider app under the keys: rotated with all others, and kept apart where they are."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text

from broker import apps
from broker.db import Database
from broker.errors import Unavailable
from broker.models import ConnectionKey, TenantKey
from broker.runtime import Broker
from broker.secret import Secret
from broker.vault import rotate
from tests.house import House

OWN = Secret("PROVIDER-SECRET-1-of-toko")


@pytest.fixture
def broker(house: House) -> Broker:
    return house.broker


@pytest.fixture
def apart(build: Callable[..., House], database_url: str, keystore_url: str) -> Broker:
    """Its keys are in a database of their own."""
    return build(database_url, BROKER_KEYSTORE_URL=keystore_url).broker


def added(broker: Broker) -> str:
    return apps.add(
        broker.database,
        broker.vault,
        broker.clock(),
        provider="google",
        tenant="toko",
        client_id="toko-client",
        client_secret=OWN,
        options={},
        secret_options={},
    )


def remove(broker: Broker, app_id: str) -> None:
    apps.remove(broker.database, broker.vault, broker.clock(), app_id)


def wrapped_by(broker: Broker, app_id: str) -> bytes | None:
    """The tenant key under which the app's own key is."""
    with broker.database.keystore.read() as session:
        return session.scalar(select(ConnectionKey.tk_id).where(ConnectionKey.connection == f"app:{app_id}"))


def keys(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(ConnectionKey)) or 0


def test_a_rotation_of_tenant_keys_brings_the_secret_under_the_new_one(house: House, broker: Broker) -> None:
    app_id = added(broker)
    before = wrapped_by(broker, app_id)
    house.clock.advance(days=2)
    rotated = rotate(broker.database, broker.vault, tenant_keys=True, report=lambda *_: None)
    assert (rotated.new_tenant_keys, rotated.connection_keys, rotated.failed) == (1, 1, [])
    assert wrapped_by(broker, app_id) not in (None, before)
    broker.vault.forget()
    assert broker.app(app_id).client_secret == OWN


def test_a_tenant_with_an_app_and_no_connection_has_a_key_that_is_counted(broker: Broker) -> None:
    """Else its key encryption key could be taken away as one that wraps nothing."""
    added(broker)
    with broker.database.read() as session:
        (status,) = broker.vault.status(session)
        assert status.tenant_keys == session.scalar(select(func.count()).select_from(TenantKey)) == 1


def test_the_key_is_in_the_key_store_alone(apart: Broker) -> None:
    app_id = added(apart)
    assert (keys(apart.database), keys(apart.database.keystore)) == (0, 1)
    assert apart.app(app_id).client_secret == OWN
    apps.change_secret(apart.database, apart.vault, app_id, Secret("PROVIDER-SECRET-2-of-toko"))
    assert apart.app(app_id).client_secret == Secret("PROVIDER-SECRET-2-of-toko")


def test_a_removal_destroys_the_key_in_the_key_store(apart: Broker) -> None:
    remove(apart, added(apart))
    assert keys(apart.database.keystore) == 0


def test_without_its_key_store_no_app_is_added(apart: Broker) -> None:
    with apart.database.keystore.write() as session:
        session.execute(text("DROP TABLE connection_keys"))
    with pytest.raises(Unavailable):
        added(apart)
    assert apps.listed(apart.database) == []


def test_a_removed_app_can_be_added_anew_under_another_id(broker: Broker) -> None:
    first = added(broker)
    remove(broker, first)
    second = added(broker)
    assert second != first
    assert broker.app(second).client_secret == OWN
