"""What a command printed, and how it ended."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Said(NamedTuple):
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]
