"""The life of a token, held to its page: every row of docs/token-life.md against the values and against the real flow.

A row is one answer of a provider at one endpoint. First the provider's value is asked what it means; then the fake
provider gives that answer to a broker that reads, renews or looks, and the caller's answer, the state and the number of
calls are those of the page. docs/facts/google.md §1.9, §5.8; docs/facts/meta.md §3.1, §6.1.
"""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from broker.connections.read import STATES
from broker.providers import built_in, graph
from broker.sandbox.serve import mapped
from broker.upstream import TokenRefused
from tests.connections.life import Life
from tests.docs.pages import ROOT, page, spans
from tests.house import Clock, Google, built
from tests.meta import SETTINGS, Facebook, Instagram

PAGE = page("docs/token-life.md")
DATA_PATHS = {"google": "/v1/people", "facebook": "/me", "instagram": "/me/media"}
SPARED = {"value": {"code": 1}, "after": 1_000_000}
LOOKS = {"facebook": ["/debug_token", "/me/permissions"], "instagram": ["/me"]}
PROVIDERS = built_in()


@dataclass(frozen=True)
class Row:
    """One answer out of a row of the page."""

    provider: str
    endpoint: str
    status: int
    answer: str
    meaning: str
    state: str
    hears: str
    calls: int

    def __str__(self) -> str:
        return f"{self.provider}{self.endpoint}-{self.status}-{self.answer}".replace("/", ".")

    @property
    def numbers(self) -> tuple[int, int | None] | None:
        """Graph's code and subcode; None for an answer that has none."""
        found = re.fullmatch(r"(\d+)(?:/(\d+))?(?: is_transient)?", self.answer)
        return (int(found[1]), int(found[2]) if found[2] else None) if found else None


def _rows(heading: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Each answer at each status of each provider of the table."""
    for cells in PAGE.rows(heading):
        named = dict(zip(columns, cells, strict=True))
        answers = spans(named["answer"]) or [named["answer"]]
        providers, statuses = named["provider"].split(", "), named["status"].split(", ")
        calls = named.get("calls", "0").split(", ")
        for (place, provider), status, answer in itertools.product(enumerate(providers), statuses, answers):
            yield Row(
                provider,
                named.get("endpoint", "").strip("`"),
                int(status),
                answer,
                named["meaning"],
                named.get("state", "").strip("`"),
                named["hears"].strip("`"),
                int(calls[min(place, len(calls) - 1)]),
            )


TOKENS = list(_rows("Refusals of a token", ("provider", "endpoint", "status", "answer", "meaning", "state", "hears")))
DATA = list(_rows("Refusals of a data call", ("provider", "status", "answer", "meaning", "hears", "calls")))
FAKED = {
    "google": {"UNAUTHENTICATED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions", "insufficientScopes"}
    | {"requires_one_of", "DISALLOWED_OAUTH_SCOPES", "accessNotConfigured", "SERVICE_DISABLED", "domainPolicy"}
    | {"no_reason", "rateLimitExceeded", "RATE_LIMIT_EXCEEDED", "EXPIRED_SYNC_TOKEN", "any"}
    | {"html", "empty", "truncated", "huge"}
}
"""Answers that the fake Google gives to a data call; what others mean is asked of the value alone."""


def ids(row: Row) -> str:
    return str(row)


# --- the page against the values -----------------------------------------------------------------------------


def _google_body(row: Row) -> Any:
    if row.answer == "usageLimits":
        return {"error": {"code": row.status, "errors": [{"domain": "usageLimits", "reason": "new"}]}}
    if row.answer == "requires_one_of":
        return {"error": {"message": "The request requires one of the following scopes: a, b"}}
    if row.answer == "UNAUTHENTICATED":
        return {"error": {"code": 401, "status": row.answer}}
    place = "details" if row.answer.isupper() else "errors"
    return None if row.answer == "any" else {"error": {"code": row.status, place: [{"reason": row.answer}]}}


def _graph_body(row: Row) -> Any:
    if row.numbers is None:
        return None
    code, subcode = row.numbers
    error: dict[str, Any] = {"code": code, "message": "(#1) says nothing", "fbtrace_id": "A1"}
    error |= {} if subcode is None else {"error_subcode": subcode}
    return {"error": error | ({"is_transient": True} if "transient" in row.answer else {})}


@pytest.mark.parametrize("row", [row for row in DATA if row.meaning != "–"], ids=ids)
def test_a_data_calls_answer_means_what_the_page_says(row: Row) -> None:
    body = _google_body(row) if row.provider == "google" else _graph_body(row)
    assert PROVIDERS[row.provider].verdict(row.status, body, 7).kind == row.meaning


@pytest.mark.parametrize("row", [row for row in TOKENS if row.meaning != "–"], ids=ids)
def test_a_refusal_of_a_token_means_what_the_page_says(row: Row) -> None:
    if row.numbers:
        refusal = TokenRefused("unknown", code=row.numbers[0], subcode=row.numbers[1])
    else:
        error, _, subtype = row.answer.partition(" ")
        refusal = TokenRefused(error, subtype or None)
    assert PROVIDERS[row.provider].fate(refusal) == row.meaning


def test_whatever_is_not_on_the_page_condemns_nothing() -> None:
    """A code that Meta or Google makes up tomorrow."""
    known = {row.numbers[0] for row in TOKENS if row.numbers and row.meaning in ("dead", "removed", "paused")}
    assert known == graph.TOKEN
    for code, name in itertools.product(set(range(1200)) - known, ("facebook", "instagram")):
        assert PROVIDERS[name].fate(TokenRefused("unknown", code=code, subcode=458)) == "passing"
    for error in ("invalid_scope", "unauthorized_client", "unknown", "unsupported_grant_type"):
        assert PROVIDERS["google"].fate(TokenRefused(error)) == "passing"


# --- the page against the facts ------------------------------------------------------------------------------


def test_the_page_has_every_error_of_graph_that_the_facts_know() -> None:
    """docs/facts/meta.md §6.1."""
    section = page("docs/facts/meta.md").text.partition("### 6.1 Error body")[2].partition("### 6.2")[0]
    table = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][2:]
    told = {(int(code), int(sub) if sub else None) for cell in table for code, sub in _numbers(cell)}
    on_the_page = {row.numbers for row in DATA if row.numbers}
    assert told - on_the_page - {(200, None)} <= {(80001, None), (80008, None)}
    assert len(told) > 20


def _numbers(cell: str) -> Iterator[tuple[str, str]]:
    for first, sub, last in re.findall(r"(\d+)(?:/(\d+))?(?:–(\d+))?", cell):
        yield first, sub
        if last:
            yield last, ""


def test_the_page_has_every_error_of_google_that_the_facts_know() -> None:
    """docs/facts/google.md §1.9, §5.8."""
    facts = page("docs/facts/google.md").text
    bodies = facts.partition("### 1.9")[2].partition("### 1.10")[0].partition("```json")[2].partition("```")[0]
    said = [json.loads(line) for line in bodies.splitlines() if line.startswith("{")]
    refusals = {" ".join(filter(None, (body["error"], body.get("error_subtype")))) for body in said}
    assert refusals <= {row.answer for row in TOKENS if row.provider == "google"}
    classes = facts.partition("### 5.8")[2].partition("## 6")[0]
    named = {
        word
        for line in classes.splitlines()
        if line.startswith("| ")
        for span in spans(line.split("|")[2])
        for word in span.split()
    }
    assert named - {"Retry-After", "backendError"} <= {row.answer for row in DATA}


# --- the page against the real flow --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lives(
    _fake_google: tuple[Google, Clock],
    _fake_meta: tuple[Facebook, Instagram],
    _migrated_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Life]]:
    """One broker and a connection at each provider, for all rows; a row that ends a connection has it made anew."""
    fakes: dict[str, Google] = {"google": _fake_google[0], "facebook": _fake_meta[0], "instagram": _fake_meta[1]}
    folder = tmp_path_factory.mktemp("lives")
    database = copy(_migrated_file, folder / "broker.db")
    origins = mapped({name: fake.url for name, fake in fakes.items()})
    for fake in fakes.values():
        fake.control("reset")
    with built(
        fakes["google"], f"sqlite:///{database}", folder, _fake_google[1], **{"BROKER_ORIGINS": origins, **SETTINGS}
    ) as house:
        yield {name: Life(house, house.client(), fake, name) for name, fake in fakes.items()}


@pytest.fixture
def life(lives: dict[str, Life], clock: Clock, request: pytest.FixtureRequest) -> Life:
    """The connection of the row's provider, active and freshly used."""
    found = lives[request.node.callspec.params["row"].provider]
    found.app._token = ""
    found.fake.http.delete(f"{found.fake.url}/_sandbox/quirks", timeout=10)
    if not found.id or found.state != "active":
        found.fake.control("reset")
        found._seen = 0
        found.connect()
    found.waited()
    assert found.hears() == "200"
    found.calls()
    return found


def answering(life: Life, path: str, row: Row, *, only: bool = False) -> AbstractContextManager[None]:
    """The provider gives this answer at a path; `only`: not below it."""
    spared = {f"{path}/permissions": SPARED} if only and life.provider == "facebook" else {}
    if row.answer in ("html", "any"):
        kind = {"rate_limit": {path: _limit(row)}} if row.status == 429 else {"outage": {path: _outage(row)}}
        return life.quirk(**kind)
    if row.numbers is None:
        return life.quirk(malformed={path: row.answer})
    code, subcode = row.numbers
    if code in graph.THROTTLED:
        return life.quirk(rate_limit={path: {"code": code, "status": row.status}})
    error = {"code": code, "status": row.status, "is_transient": "transient" in row.answer}
    return life.quirk(graph_error={path: error | ({} if subcode is None else {"subcode": subcode}), **spared})


def _outage(row: Row) -> int | str:
    return "html" if row.answer == "html" else row.status


def _limit(row: Row) -> Any:
    return {"status": 429, "retry_after": 60} if row.provider == "google" else {"code": 4, "status": 429}


def google_data(life: Life, row: Row) -> AbstractContextManager[None]:
    """The same for Google's data, in its own words."""
    path = DATA_PATHS["google"]
    if row.answer == "UNAUTHENTICATED":
        return life.quirk(unauthorized={path: True})
    if row.meaning in ("scope", "setup"):
        return life.quirk(forbidden={path: row.answer})
    if row.meaning == "rate" and row.answer != "any":
        envelope = "details" if row.answer.isupper() else "errors"
        return life.quirk(rate_limit={path: {"envelope": envelope, "status": row.status, "retry_after": 60}})
    if row.answer == "EXPIRED_SYNC_TOKEN":
        return life.quirk(expired_sync_token=row.status)
    return answering(life, path, row)


PLAYED = [row for row in DATA if row.provider != "google" or row.answer in FAKED["google"]]


@pytest.mark.parametrize("row", PLAYED, ids=ids)
def test_a_read_is_answered_as_the_page_says_and_the_connection_lives_on(life: Life, row: Row) -> None:
    """H9: nothing that a data call is answered ends a connection whose token lives."""
    cursor = {"cursor": life.read(limit=1000).json()["next_cursor"]} if row.meaning == "place_lost" else {}
    cursor = {} if row.provider != "google" else cursor
    life.calls()
    with (
        google_data(life, row)
        if row.provider == "google"
        else answering(life, DATA_PATHS[row.provider], row, only=True)
    ):
        heard = life.hears(limit=1000, **cursor)
    calls = life.calls()
    assert heard == row.hears or (row.meaning == "rate" and heard.startswith(row.hears))
    assert len(calls) == row.calls, calls
    assert life.state == "active"
    life.waited()
    assert life.hears() == "200"


def test_rows_are_played_and_not_passed_over() -> None:
    """A provider's answers that no fake can give would make the test above hollow."""
    assert len(PLAYED) > 100
    assert {row.meaning for row in PLAYED} == {row.meaning for row in DATA}


REFRESHED = [row for row in TOKENS if row.provider == "google"]


@pytest.mark.parametrize("row", REFRESHED, ids=ids)
def test_a_refresh_is_answered_as_the_page_says(life: Life, row: Row) -> None:
    """By a read whose access token has ended."""
    over = life.house.clock() - timedelta(minutes=1)
    life.set(fresh_until=over, access_expires_at=over)
    error, _, subtype = row.answer.partition(" ")
    with (
        answering(life, "/token", row)
        if _is_no_refusal(row)
        else life.quirk(
            token_error={"error": error, "status": row.status} | ({"error_subtype": subtype} if subtype else {})
        )
    ):
        heard = life.hears()
        calls = life.calls()
        assert heard == row.hears or (row.status == 429 and heard == f"{row.hears} 60")
        assert (calls, life.state) == (["/token"], row.state)
        if row.state != "active":
            assert [life.hears() for _ in range(3)] == [row.hears] * 3
            assert life.calls() == []
    if row.state == "active":
        life.waited()
        assert life.hears() == "200"


def _is_no_refusal(row: Row) -> bool:
    return row.answer == "any" or row.status == 200


ASKED_BY_DUTY = [row for row in TOKENS if row.provider != "google"]


def told_of_the_token(life: Life, row: Row) -> AbstractContextManager[None]:
    """What debug_token says of a token is what has happened to it."""
    assert row.numbers
    of_ani = {"account": "ani@example.com"}
    happened = {458: ("revoke", {}), 459: ("checkpoint", {}), 464: ("checkpoint", {"why": "unconfirmed"})}
    happened |= {sub: ("kill", {"why": why}) for sub, why in ((460, "password"), (463, "expired"), (467, "invalid"))}
    name, how = happened[row.numbers[1] or 0]
    life.fake.control(name, of_ani | how)
    return nullcontext()


@pytest.mark.parametrize("row", ASKED_BY_DUTY, ids=ids)
def test_a_renewal_or_look_is_answered_as_the_page_says(life: Life, row: Row) -> None:
    """By the duty that looks after the connection: each endpoint is asked once, whatever it answers; nothing loops."""
    renewal = row.endpoint in ("/oauth/access_token", "/refresh_access_token")
    life.set(obtained_at=life.house.clock() - timedelta(days=400 if renewal else 1))
    told = row.endpoint == "/debug_token" and row.status == 200 and row.numbers is not None
    with told_of_the_token(life, row) if told else answering(life, row.endpoint, row):
        calls = life.tended()
        assert calls.count(row.endpoint) == 1 or row.state == "revoked", calls
        assert (life.state, life.said()[-1] in ("connection.shredded",)) == (row.state, row.state == "revoked")
        life.house.work()
        assert life.calls() == []
    if row.state == "active":
        before = life.row.obtained_at
        assert before is not None
        assert (life.house.clock() - before > timedelta(days=300)) == renewal
    assert life.hears() == row.hears
    if row.state in ("reconnect_required", "revoked"):
        life.calls()
        assert [life.hears() for _ in range(3)] == [row.hears] * 3
        assert life.calls() == []
        assert life.duty is None


# --- the picture ---------------------------------------------------------------------------------------------


def test_diagram_picture_and_table_show_the_states_that_there_are() -> None:
    (diagram,) = PAGE.blocks("mermaid")
    moves = set(re.findall(r"^\s+([a-z_]+) --> ([a-z_]+)", diagram, re.MULTILINE))
    picture = (PAGE.path.parent / "pictures" / "token-life.svg").read_text()
    assert {state for move in moves for state in move} == set(STATES)
    assert set(re.findall(r'font-weight="bold">([a-z_]+)<', picture)) == set(STATES)
    assert {spans(row[0])[0] for row in PAGE.rows("The states")} == set(STATES)
    assert len(moves) == picture.count('marker-end="url(#tip)"') - 2, (
        "the beginning and the end have arrows of their own"
    )


def test_what_moves_a_connection_is_noted_by_the_name_that_the_page_gives() -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "broker" / "connections").glob("*.py"))
    actions = {action for row in PAGE.rows("What moves it") for action in spans(row[3])}
    assert len(actions) > 6
    assert {action for action in actions if f'"{action}"' not in written} == set()
