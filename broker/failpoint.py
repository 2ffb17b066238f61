"""Failpoints: named places where a test makes this process die, stop or wait. Inert unless armed; not in production.

    BROKER_FAILPOINTS=confirm.exchanged=kill@/tmp/hit,refresh.leased=sleep:0.5

`kill` and `stop` are the signals of that name, `sleep:SECONDS` waits. Behind `@` stands a file that is made at the
first hit: the failpoint works only once, over all processes, and the test sees that it was reached.
"""

import os
import re
import signal
import time
from collections.abc import Mapping
from typing import NamedTuple

NAMES = (
    "begin.stored",
    "approve.stored",
    "complete.stored",
    "confirm.claimed",
    "confirm.exchanged",
    "confirm.activated",
    "erase.asked",
    "erase.cleaned",
    "event.sent",
    "refresh.leased",
    "refresh.answered",
    "refresh.stored",
    "revoke.committed",
    "mass.batch",
    "restore.replayed",
    "shredlog.owed",
    "shredlog.written",
    "tell.counted",
    "tell.sent",
    "tell.settled",
    "webhook.changed",
    "write.checked",
)
"""Each stands once in the code; a test reaches every one of them."""
_FORM = re.compile(r"([a-z]+\.[a-z]+)=(kill|stop|sleep:[0-9]+(?:\.[0-9]+)?)(?:@(/[^,]+))?")


class Failure(NamedTuple):
    act: str
    marker: str | None


_armed: dict[str, Failure] = {}


def parse(text: str) -> dict[str, Failure]:
    """Raises `ValueError` for anything but known names and acts."""
    found = {}
    for part in filter(None, text.split(",")):
        match = _FORM.fullmatch(part)
        if match is None or match[1] not in NAMES:
            raise ValueError(part)
        found[match[1]] = Failure(match[2], match[3])
    return found


def arm(failures: Mapping[str, Failure]) -> None:
    """Called by the composition root alone, and only outside production."""
    _armed.clear()
    _armed.update(failures)


def failpoint(name: str) -> None:
    """Nothing, unless this name is armed."""
    if not _armed or name not in _armed:
        return
    act, marker = _armed[name]
    if marker is not None and not _first(marker):
        return
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.5)  # the kernel stops this very thread a moment later; it must not go on until then
    else:
        time.sleep(float(act.removeprefix("sleep:")))


def _first(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
