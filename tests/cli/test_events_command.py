"""`broker events`: what became of each event, for people and for programs."""

from collections.abc import Iterator

import pytest

from tests.cli.said import Run
from tests.events.conftest import happens, registered
from tests.events.receiver import Receiver
from tests.house import House


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_an_operator_sees_what_failed_and_sends_it_again(house: House, run: Run, receiver: Receiver) -> None:
    endpoint = registered(house, receiver)
    happens(house)
    [one] = run("events", "list", "--state", "pending", "--json").json()
    shown = run("events", "show", one["id"], "--json").json()
    assert shown["body"]["type"] == "connection.suspended"
    assert shown["deliveries"][0]["endpoint"] == endpoint.id
    assert run("events", "disable", endpoint.id, "--json").json()["disabled_by"] == "operator"
    refused = run("events", "replay", endpoint.id)
    assert (refused.status, "enable it first" in refused.err) == (1, True)
    assert run("events", "enable", endpoint.id).out == f"{endpoint.id} is enabled.\n"
    assert run("events", "replay", endpoint.id, "--since", "2100-01-01", "--json").json() == {"replayed": 0}
    assert run("events", "replay", endpoint.id, "--event", one["id"], "--json").json() == {"replayed": 1}
    house.work()
    assert receiver.types == ["connection.suspended"]
    assert run("events", "list", endpoint.id, "--state", "failed", "--json").json() == []
    [listed] = run("events", "endpoints", "--json").json()
    assert (listed["state"], listed["pending"]) == ("enabled", 0)
    for command in (("endpoints",), ("list",), ("show", one["id"])):
        said = run("events", *command)
        assert said.status == 0
        assert one["id"] in said.out or endpoint.id in said.out
        assert endpoint.secret not in said.out


def test_what_is_not_there_is_said(run: Run) -> None:
    for command in (
        ("show", "evt_0"),
        ("list", "eep_0"),
        ("replay", "eep_0"),
        ("enable", "eep_0"),
        ("disable", "eep_0"),
    ):
        assert run("events", *command).status == 1, command
    assert run("events", "list", "--state", "lost").status == 2
