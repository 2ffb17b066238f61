"""Whatever is sent to POST /v1/connect-sessions, the answer is a session or a refusal that says why, never a fault of
ours (docs/facts/security.md §6.6 INP-50)."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.house import RETURN_URL, Clock, House, SalesApp

MEMBERS = (
    *("tenant", "subject", "provider", "connectors", "return_url", "subject_label", "tenant_label", "purpose"),
    *("privacy_url", "locale", "login_hint", "connection", "scope", "tenant "),
)
SOUND: dict[str, Any] = {
    "tenant": "toko",
    "subject": "ani",
    "provider": "google",
    "connectors": ["google_contacts"],
    "return_url": RETURN_URL,
}
TEXTS = st.text(max_size=400) | st.sampled_from(
    ["toko", "google", "google_contacts", RETURN_URL, "https://[", "https://a:b", "http://127.0.0.1:99999/", "\ud800"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
    max_leaves=12,
)
BODIES = st.fixed_dictionaries({name: st.just(value) | JSON for name, value in SOUND.items()}) | st.builds(
    lambda changes: SOUND | changes, st.dictionaries(st.sampled_from(MEMBERS), JSON | TEXTS, max_size=5)
)
ASCII = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
quick = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def app(shared_house: House, clock: Clock) -> SalesApp:
    return shared_house.client()


@quick
@given(body=BODIES | JSON)
def test_any_json_is_a_session_or_a_refusal(app: SalesApp, body: Any) -> None:
    _sound(_sent(app, json.dumps(body).encode()))


@quick
@given(body=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_refused(app: SalesApp, body: bytes) -> None:
    answer = _sent(app, body)
    _sound(answer)
    assert answer.status_code in (400, 422)


@quick
@given(kind=ASCII.map(str.strip) | ASCII.map(lambda rest: f"application/json;{rest}".strip()))
def test_any_content_type_is_json_or_refused(app: SalesApp, kind: str) -> None:
    answer = _sent(app, json.dumps(SOUND).encode(), kind)
    _sound(answer)
    assert answer.status_code in (201, 415)


def test_a_sound_body_is_taken(app: SalesApp) -> None:
    """Else the properties above would hold of a route that refuses everything."""
    assert _sent(app, json.dumps(SOUND).encode()).status_code == 201


def _sent(app: SalesApp, body: bytes, kind: str = "application/json"):
    return app.call("POST", "/v1/connect-sessions", data=body, headers={"Content-Type": kind})


def _sound(answer) -> None:
    assert answer.status_code in (201, 400, 404, 413, 415, 422), answer.text
    if answer.status_code != 201:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] in ("invalid_request", "not_found", "too_large", "unsupported_media_type")
