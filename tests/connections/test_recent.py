"""What was read a moment ago: one reading for those who come together, never older than they allow (I2)."""

import threading
import time
from threading import Thread

import pytest

from broker.connections import use
from broker.recent import KEPT, Recent


class Monotonic:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def recent(monotonic: Monotonic) -> Recent:
    return Recent(monotonic)


def test_a_value_serves_as_long_as_its_reader_allows_and_says_when_its_reading_began(
    recent: Recent, monotonic: Monotonic
):
    assert recent.get(("a",), lambda: 1, age=0.1) == (100.0, 1)
    monotonic.now += 0.1
    assert recent.get(("a",), lambda: 2, age=0.2) == (100.0, 1)
    assert recent.get(("a",), lambda: 3, age=0.05) == (100.1, 3)


def test_the_age_of_a_value_counts_from_the_beginning_of_its_reading(recent: Recent, monotonic: Monotonic):
    def slow() -> int:
        monotonic.now += 0.2
        return 1

    assert recent.get(("a",), slow, age=0.1) == (100.0, 1)
    assert recent.get(("a",), lambda: 2, age=0.1) == (pytest.approx(100.2), 2)


def test_one_who_relies_on_nothing_older_reads_anew(recent: Recent, monotonic: Monotonic):
    recent.get(("a",), lambda: 1, age=0.0)
    monotonic.now += 0.001
    assert recent.get(("a",), lambda: 2, age=0.0)[1] == 2


def test_nothing_counts_that_was_read_before_this_process_changed_something(recent: Recent, monotonic: Monotonic):
    recent.get(("a",), lambda: 1, age=0.1)
    recent.drop()
    monotonic.now += 0.001
    assert recent.get(("a",), lambda: 2, age=0.1)[1] == 2


def test_what_was_being_read_while_something_changed_serves_nobody_else(recent: Recent, monotonic: Monotonic):
    def changed_meanwhile() -> int:
        monotonic.now += 0.001
        recent.drop()
        return 1

    recent.get(("a",), changed_meanwhile, age=0.1)
    monotonic.now += 0.001
    assert recent.get(("a",), lambda: 2, age=0.1)[1] == 2


def test_a_failure_is_its_readers_own(recent: Recent):
    with pytest.raises(ValueError, match="first"):
        recent.get(("a",), lambda: int("first"), age=0.1)
    assert recent.get(("a",), lambda: 2, age=0.1)[1] == 2


def test_what_nobody_asks_for_any_more_is_not_kept(recent: Recent, monotonic: Monotonic):
    for number in range(50):
        recent.get((number,), lambda: b"secret", age=0.1)
    monotonic.now += KEPT + 0.1
    recent.get(("another",), lambda: 1, age=0.1)
    assert len(recent._readings) == 1


def test_twenty_threads_at_once_make_one_reading():
    recent, entered, let_go, readings = Recent(), threading.Event(), threading.Event(), []

    def read() -> int:
        readings.append(1)
        entered.set()
        let_go.wait(5)
        return 7

    answers: list[int] = []
    threads = [Thread(target=lambda: answers.append(recent.get(("a",), read, age=10)[1])) for _ in range(20)]
    for thread in threads:
        thread.start()
    entered.wait(5)
    time.sleep(0.05)
    let_go.set()
    for thread in threads:
        thread.join(5)
    assert (answers, len(readings)) == ([7] * 20, 1)


def test_who_waited_for_a_reading_that_failed_reads_for_himself():
    recent, entered, let_go = Recent(), threading.Event(), threading.Event()

    def fails() -> int:
        entered.set()
        let_go.wait(5)
        raise ValueError("no")

    def first() -> None:
        with pytest.raises(ValueError, match="no"):
            recent.get(("a",), fails, age=10)

    answers: list[int] = []
    threads = [Thread(target=first), Thread(target=lambda: answers.append(recent.get(("a",), lambda: 2, age=10)[1]))]
    threads[0].start()
    entered.wait(5)
    threads[1].start()
    let_go.set()
    for thread in threads:
        thread.join(5)
    assert answers == [2]


def test_a_revocation_waits_longer_than_any_state_is_relied_on():
    """Else a value from memory could outlive the answer (I2)."""
    assert use.RELIED_ON < use.WAIT
    assert use.RELIED_ON <= KEPT
