"""Single pieces of the relay, where no fake provider leads: masks within masks, and what must not be passed on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from broker.clients import Caller
from broker.connections import use
from broker.errors import OperationDenied, ProviderUnavailable
from broker.operations import load
from broker.providers.data.relayed import Form, Take
from broker.providers.resource import Values
from broker.relay import Asked, prefix, read
from broker.relay.below import Listed
from broker.relay.checked import merged
from broker.relay.exchange import Answered
from broker.relay.prepared import Call, prepared
from broker.relay.serve import _document
from broker.relay.target import in_path
from broker.scopes import Permitted
from broker.secret import Secret
from tests.house import House
from tests.relay.conftest import PEOPLE, Relay

FACEBOOK = load("facebook")
POSTS = FACEBOOK.operation("facebook.page.posts.list")
USUAL: Values = {"page": "1", "fields": "id,message,from{id},comments.limit(3){id,message}", "limit": "100"}
GRAPH = Form(takes={"limit": Take()}, mask="fields")


def fields_sent(asked: str) -> str:
    return str(merged(POSTS, GRAPH, USUAL, {"fields": (asked,)}, frozenset(), "id")["fields"])


@pytest.mark.parametrize(
    "asked",
    [
        "from{name}",
        "from{id,name}",
        "from",
        "comments{from{id}}",
        "comments.limit(4){id}",
        "message.limit(1)",
        "message{id}",
        "story",
        "comments{id,comments{id}}",
    ],
)
def test_a_tree_of_fields_that_reaches_beyond_the_brokers_own_is_refused(asked: str) -> None:
    with pytest.raises(OperationDenied):
        fields_sent(asked)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("message", "message,id"),
        ("id,from{id}", "id,from{id}"),
        ("comments.limit(2){id}", "comments.limit(2){id},id"),
        ("comments{message}", "comments{message},id"),
    ],
)
def test_a_tree_within_it_is_sent_as_it_was_asked_for_with_the_id(asked: str, sent: str) -> None:
    assert fields_sent(asked) == sent


def test_a_parameter_of_the_path_is_none_of_the_query() -> None:
    with pytest.raises(OperationDenied):
        merged(POSTS, GRAPH, USUAL, {"page": ("1",)}, frozenset(), "id")


def test_a_path_gives_its_parameters_decoded_once() -> None:
    assert in_path(POSTS, f"{POSTS.origin}/%31%32/posts") == {"page": "12"}


def test_a_listed_id_is_forgotten_and_never_another_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, key = Listed(), ("grant", "page", "facebook.page.posts.list", "1")
    listed.note([key])
    assert listed.holds(key)
    assert not any(listed.holds(other) for other in (("other", *key[1:]), ("grant", "another", *key[2:])))
    monkeypatch.setattr("broker.relay.below.time.monotonic", lambda: 1e12)
    assert not listed.holds(key)


def test_only_so_many_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.relay.below.MOST", 2)
    listed = Listed()
    keys = [("grant", None, "x", str(number)) for number in range(3)]
    listed.note(keys)
    assert [listed.holds(key) for key in keys] == [False, True, True]


# --- answers -------------------------------------------------------------------------------------------------

Answering = Callable[..., tuple[bytes, int]]


@pytest.fixture
def answering(contacts: Relay, house_of_google: House) -> Answering:
    """What is passed on of an answer: `answering(body, asked_for=…, bearer=…)`."""
    return _answering(contacts, house_of_google, f"{PEOPLE}/v1/people/me/connections")


def _answering(relay: Relay, house: House, target: str) -> Answering:
    broker, everything = house.broker, frozenset({"*"})
    caller = Caller("cli_x", frozenset(), everything, everything, frozenset())
    standing = use.standing(broker, caller, relay.connection["id"], relay.connector)
    base = prefix(relay.connection["id"], relay.connector)
    asked: Asked = read("GET", base + target, base)
    (call,) = prepared(broker, standing, asked)

    def answer(
        body: dict[str, Any], *, asked_for: tuple[str, ...] = (), bearer: str = "ya29.secret"
    ) -> tuple[bytes, int]:
        then: Call = call
        if asked_for:
            then = replace(call, decision=replace(call.decision, permitted=Permitted(asked_for)))
        return _document(broker, standing, call, Answered(then, body, Secret(bearer)))

    return answer


PERSON = {"resourceName": "people/c1", "names": [{"displayName": "Dewi"}], "emailAddresses": [{"value": "d@x.example"}]}


def test_an_answer_with_the_providers_token_in_it_is_not_passed_on(answering: Answering) -> None:
    person = {**PERSON, "names": [{"displayName": "a ya29.secret b"}]}
    assert answering({"connections": [PERSON]})[1] == 1
    with pytest.raises(ProviderUnavailable) as caught:
        answering({"connections": [person]})
    assert not caught.value.retryable


def test_a_field_that_was_not_permitted_when_it_was_asked_for_is_cut_off(answering: Answering) -> None:
    document, _ = answering({"connections": [PERSON]}, asked_for=("names",))
    assert b"Dewi" in document
    assert b"d@x.example" not in document


def test_a_value_of_another_source_is_dropped(answering: Answering) -> None:
    profile = {"displayName": "Hidden", "metadata": {"source": {"type": "PROFILE"}}}
    document, _ = answering({"connections": [{**PERSON, "names": [profile]}]})
    assert b"Hidden" not in document


def test_another_accounts_profile_is_not_passed_on(at_instagram: Callable[..., Relay], house_of_meta: House) -> None:
    relay = at_instagram("instagram_profile", account="ani.wijaya")
    answer = _answering(relay, house_of_meta, "graph.instagram.com/v26.0/me")
    own = relay.ask("graph.instagram.com/v26.0/me?fields=user_id")["user_id"]
    assert answer({"user_id": own, "username": "ani"})[1] == 1
    with pytest.raises(ProviderUnavailable):
        answer({"user_id": "1", "username": "budi"})


def test_another_message_than_the_one_asked_for_is_not_passed_on(
    at_google: Callable[..., Relay], house_of_google: House
) -> None:
    relay = at_google("google_mail")
    answer = _answering(relay, house_of_google, "gmail.googleapis.com/gmail/v1/users/me/messages/1f")
    assert answer({"id": "1f", "snippet": "Rahasia"}) == (b'{"id": "1f"}', 1)
    for other in ({"id": "2f"}, {}):
        with pytest.raises(ProviderUnavailable):
            answer(other)
