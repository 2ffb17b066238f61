"""The live tokens of one kind, found by value and by the authorization that they hang on. Knows no rule of Google's."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SWEEP = 1_000
"""Tokens that are added between two sweeps of what expired."""

Pair = tuple[str, str]
"""(Cloud project, account): the unit of authorization (docs/facts/google.md §1.6)."""


@dataclass(frozen=True)
class Token:
    """A live token. `family` names the consent that it descends from."""

    value: str
    client: str
    project: str
    account: str
    scopes: frozenset[str]
    family: str
    expires_at: float | None = None
    used_at: float = 0.0

    @property
    def pair(self) -> Pair:
        return (self.project, self.account)


class TokenStore:
    """Tokens in the order in which they were made. Not thread-safe: the caller holds the sandbox's lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._by_pair: defaultdict[Pair, dict[str, None]] = defaultdict(dict)
        self._added = 0

    def __iter__(self) -> Iterator[Token]:
        return iter([token for token in self._tokens.values() if self._lives(token)])

    def put(self, token: Token) -> None:
        """Keep it; one of the same value keeps its place in the order."""
        self._tokens[token.value] = token
        self._by_pair[token.pair][token.value] = None
        self._added += 1
        if self._added % SWEEP == 0:
            self.drop(lambda kept: not self._lives(kept))

    def get(self, value: str) -> Token | None:
        """If it lives."""
        token = self._tokens.get(value)
        return token if token and self._lives(token) else None

    def of(self, pair: Pair) -> list[Token]:
        """All of one authorization, the oldest first."""
        return [self._tokens[value] for value in self._by_pair.get(pair, ())]

    def remove(self, token: Token) -> None:
        self._tokens.pop(token.value, None)
        values = self._by_pair[token.pair]
        values.pop(token.value, None)
        if not values:
            del self._by_pair[token.pair]

    def drop(self, dead: Callable[[Token], bool]) -> int:
        """Remove all that are `dead`; gives how many."""
        found = [token for token in self._tokens.values() if dead(token)]
        for token in found:
            self.remove(token)
        return len(found)

    def _lives(self, token: Token) -> bool:
        return token.expires_at is None or token.expires_at > self._clock()
