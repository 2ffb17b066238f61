"""Security events of Google: verified, acted on once, and nothing newer ends by them.

docs/facts/google.md §2; docs/facts/security.md INP-85, INP-86, REL-34, STD-72; contract §6.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from flask import Flask, Response, jsonify
from google.auth import crypt
from joserfc.jwk import RSAKey
from sqlalchemy import func, select, text

from broker import duties
from broker.connections.tokens import open_token
from broker.models import AuditEntry, Connection, SecurityEvent, TokenFingerprint
from broker.sandbox.serve import Running, origins
from tests.connections.own import GOOGLE, Stage
from tests.house import ANI, BUDI, Google, House, SalesApp

CLIENT = "broker-client.apps.googleusercontent.com"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
ACCOUNT_EVENTS = {
    "sessions-revoked": "active",
    "tokens-revoked": "revoking",
    "account-disabled": "suspended",
    "account-enabled": "reconnect_required",
    "account-purged": "revoking",
    "account-credential-change-required": "active",
}
"""Event → the state of a connection after it."""
LASTING = [name for name, state in ACCOUNT_EVENTS.items() if state != "active"]


def uri(name: str) -> str:
    return f"{OAUTH if name in ('tokens-revoked', 'token-revoked') else RISC}{name}"


def about(account: str = ANI, **members: Any) -> dict[str, Any]:
    return {"subject": {"subject_type": "iss-sub", "iss": "https://accounts.google.com/", "sub": account}, **members}


CERTS = "/oauth2/v3/certs"
OURS = RSAKey.generate_key(2048, {"kid": "K1", "use": "sig", "alg": "RS256"}, private=True)
"""A key of Google's that this test holds. Its signatures are made by Google's own library."""
SIGNER = crypt.RSASigner.from_string(OURS.as_pem(private=True))
FOREIGN = crypt.RSASigner.from_string(RSAKey.generate_key(2048, private=True).as_pem(private=True))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: Any, *, by: Callable[[bytes], bytes] = SIGNER.sign, **header: Any) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    protected = {"alg": "RS256", "kid": "K1", "typ": "secevent+jwt", **header}
    begun = f"{encoded(json.dumps(protected).encode())}.{encoded(payload)}"
    return f"{begun}.{encoded(by(begun.encode()))}"


@dataclass
class Keys:
    """What stands at www.googleapis.com: the keys of the fake Google and the one of this test."""

    google: Google
    status: int = 200
    padding: int = 0
    asked: int = 0

    def app(self) -> Flask:
        app = Flask(__name__)

        @app.get(CERTS)
        def certs() -> Response:
            self.asked += 1
            theirs = requests.get(self.google.url + CERTS, timeout=10).json()["keys"]
            answer = jsonify(keys=[*theirs, OURS.as_dict(private=False)], padding="x" * self.padding)
            answer.status_code = self.status
            return answer

        return app


@dataclass
class Sender:
    """Google, as it sends events to one house."""

    house: House
    keys: Keys

    def claims(self, *events: str, account: str = ANI, **members: Any) -> dict[str, Any]:
        return {
            "iss": "https://accounts.google.com/",
            "aud": CLIENT,
            "iat": int(self.house.clock.timestamp()),
            "jti": secrets.token_hex(8),
            "events": {uri(name): about(account) for name in events},
            **members,
        }

    def post(self, token: str | bytes, own: str = "", **headers: str) -> requests.Response:
        path = "/".join(filter(None, ("hooks/google", own, "events")))
        kind = {"Content-Type": "application/secevent+jwt", **headers}
        return requests.post(f"{self.house.url}/{path}", data=token, headers=kind, timeout=30)

    def says(self, *events: str, own: str = "", **how: Any) -> int:
        """Send one good token; the status."""
        return self.post(signed(self.claims(*events, **how)), own).status_code

    def entries(self, action: str = "security_event.received") -> list[dict[str, Any]]:
        """What the audit says."""
        with self.house.broker.database.read() as session:
            query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.at, AuditEntry.seq)
            return [json.loads(entry.detail) for entry in session.scalars(query)]


@pytest.fixture
def sender_to(build: Callable[..., House], google: Google) -> Iterator[Callable[..., Sender]]:
    keys = Keys(google)
    with Running(keys.app()) as running:
        there = "https://www.googleapis.com="
        mapped = [there + running.url if pair.startswith(there) else pair for pair in origins(google.url).split(",")]
        yield lambda url: Sender(build(url, BROKER_ORIGINS=",".join(mapped)), keys)


@pytest.fixture
def sender(sender_to: Callable[..., Sender], sqlite_url: str) -> Sender:
    return sender_to(sqlite_url)


@pytest.fixture
def both(sender_to: Callable[..., Sender], database_url: str) -> Sender:
    """Over each database in turn."""
    return sender_to(database_url)


def connected(sender: Sender, **how: Any) -> tuple[SalesApp, str]:
    app = sender.house.client(**{name: how.pop(name) for name in ("tenants", "tenant") if name in how})
    return app, str(app.connect("google_contacts", **how)["id"])


def state(app: SalesApp, connection: str) -> str:
    return str(app.connection(connection)["state"])


def refresh_token(house: House, connection: str) -> str:
    with house.broker.database.read() as session:
        token = open_token(house.broker, session, session.get_one(Connection, connection), "refresh_token")
    assert token
    return token.reveal()


# --- what each event does ------------------------------------------------------------------------------------


def test_each_event_of_an_account_does_to_its_connections_what_the_table_says(sender: Sender) -> None:
    """And to those of nobody else; in every tenant (INP-86)."""
    app, _ = connected(sender)
    other = sender.house.client(tenants=("warung",), tenant="warung", subject="siti")
    budi = app.connect("google_contacts", account=BUDI)["id"]
    for event, after in ACCOUNT_EVENTS.items():
        mine, theirs = app.connect("google_contacts")["id"], other.connect("google_contacts")["id"]
        sender.house.clock.advance(seconds=2)
        assert sender.says(event) == 202
        assert (event, state(app, mine), state(other, theirs)) == (event, after, after)
        assert sender.entries()[-1] == {"app": "google", "event": event, "connections": 2}
        sender.house.work()
    assert state(app, budi) == "active"


def test_revoked_tokens_end_in_a_receipt_by_the_same_path_as_our_own_revocation(sender: Sender) -> None:
    app, connection = connected(sender)
    assert sender.says("tokens-revoked") == 202
    assert app.records(connection).status_code == 410
    sender.house.work()
    (receipt,) = app.call("GET", "/v1/revocations").json()["items"]
    (item,) = receipt["connections"]
    assert (receipt["state"], item["id"], bool(item["shredded_at"])) == ("completed", connection, True)
    assert "Google" in receipt["reason"]
    with sender.house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(TokenFingerprint)) == 0


def named(token: str, form: str) -> dict[str, Any]:
    """How an event names a refresh token (docs/facts/google.md §2.3)."""
    twice = hashlib.sha512(hashlib.sha512(token.encode()).digest()).digest()
    forms = {"prefix": token[:16], "base64": base64.b64encode(twice).decode(), "base64url": encoded(twice)}
    return {
        "subject": {
            "subject_type": "oauth_token",
            "token_type": "refresh_token",
            "token_identifier_alg": "prefix" if form == "prefix" else "hash_base64_sha512_sha512",
            "token": forms[form],
        }
    }


def test_a_revoked_token_is_found_by_its_fingerprint_and_deleted(both: Sender) -> None:
    app, _ = connected(both, account=BUDI)
    for form in ("prefix", "base64", "base64url"):
        connection = app.connect("google_contacts")["id"]
        event = named(refresh_token(both.house, connection), form)
        assert both.says(events={uri("token-revoked"): event}) == 202
        assert (form, state(app, connection)) == (form, "reconnect_required")
        assert app.records(connection).json()["code"] == "reconnect_required"
        with both.house.broker.database.read() as session:
            assert session.get_one(Connection, connection).refresh_token is None
            kept = session.scalars(select(TokenFingerprint.connection_id)).all()
        assert connection not in kept
        assert len(kept) == 1, "Budi's"


def test_fingerprints_are_kept_under_a_key(sender: Sender) -> None:
    """A stolen database does not tell whose a token is that somebody has from elsewhere."""
    _, connection = connected(sender)
    token = refresh_token(sender.house, connection)
    with sender.house.broker.database.read() as session:
        kept = session.get_one(TokenFingerprint, connection)
    once = hashlib.sha512(token.encode()).digest()
    twice = hashlib.sha512(once).digest()
    guesses = {token[:16].encode(), hashlib.sha256(token[:16].encode()).digest(), once, twice, twice.hex().encode()}
    assert not guesses & {kept.whole, kept.beginning}
    assert (len(kept.whole), len(kept.beginning)) == (32, 32)


def test_after_revoked_sessions_the_next_read_asks_google_for_a_new_token(sender: Sender, google: Google) -> None:
    app, connection = connected(sender)
    assert app.records(connection).status_code == 200
    before = len(google.requests("/token"))
    sender.house.clock.advance(seconds=2)
    assert sender.says("sessions-revoked") == 202
    assert app.records(connection).status_code == 200
    assert len(google.requests("/token")) == before + 1
    google.control("kill", {"tokens": "refresh"})
    sender.house.clock.advance(seconds=2)
    assert sender.says("sessions-revoked") == 202
    assert app.records(connection).json()["code"] == "reconnect_required"


def test_a_suspension_by_google_is_ended_by_no_caller_and_by_no_look(sender: Sender, google: Google) -> None:
    app, connection = connected(sender)
    assert sender.says("account-disabled", events={uri("account-disabled"): about(reason="hijacking")}) == 202
    answer = app.records(connection).json()
    assert (answer["code"], answer["source"]) == ("connection_suspended", "provider")
    assert app.call("POST", f"/v1/connections/{connection}/resume").status_code == 409
    asked = len(google.requests("/token"))
    sender.house.clock.advance(days=3)
    app._token = ""
    sender.house.work()
    assert (state(app, connection), len(google.requests("/token"))) == ("suspended", asked)
    assert sender.entries()[-1]["reason"] == "hijacking"


def test_an_attempt_to_connect_that_was_under_way_when_the_account_was_taken_ends(sender: Sender) -> None:
    app, connection = connected(sender)
    pending = app.pending("google_contacts", connection=connection)
    assert sender.says("sessions-revoked") == 202
    assert app.status(pending["session"]) == "failed"
    assert app.confirm(pending).status_code == 403


def test_a_verification_is_remembered(sender: Sender) -> None:
    assert sender.says(events={uri("verification"): {"state": "hello"}}) == 202
    assert sender.entries() == [{"app": "google", "event": "verification", "connections": 0}]


def test_several_events_in_one_token_are_all_done(sender: Sender) -> None:
    app, connection = connected(sender)
    budi = app.connect("google_contacts", account=BUDI)["id"]
    events = {uri("account-disabled"): about(), uri("tokens-revoked"): about(BUDI)}
    assert sender.says(events=events) == 202
    assert (state(app, connection), state(app, budi)) == ("suspended", "revoking")


NOTHING = (
    {"https://schemas.example/unheard-of": about()},
    {uri("tokens-revoked"): {"subject": {"subject_type": "iss-sub", "iss": "https://evil.example", "sub": ANI}}},
    {uri("tokens-revoked"): about("100000000000000000001")},
    {uri("tokens-revoked"): "text"},
    {uri("tokens-revoked"): {"subject": [ANI]}},
    {uri("token-revoked"): about()},
    {uri("token-revoked"): {"subject": {"subject_type": "oauth_token", "token": "x" * 16}}},
)


def test_what_is_not_known_or_not_understood_is_taken_audited_and_changes_nothing(sender: Sender) -> None:
    app, connection = connected(sender)
    assert [sender.says(events=events) for events in NOTHING] == [202] * len(NOTHING)
    assert state(app, connection) == "active"
    entries = sender.entries()
    assert [entry["connections"] for entry in entries] == [0] * len(NOTHING)
    assert entries[0]["event"] == "unknown: https://schemas.example/unheard-of"


# --- once, and nothing newer ---------------------------------------------------------------------------------


def test_an_old_event_does_nothing_to_a_newer_connection(both: Sender) -> None:
    """REL-34, though it comes for the first time."""
    app, _ = connected(both)
    old = [both.claims(event) for event in LASTING]
    both.house.clock.advance(minutes=5)
    connection = app.connect("google_contacts")["id"]
    both.house.clock.advance(seconds=2)
    happened = int(both.house.clock.timestamp()) - 290
    told_late = [both.claims(event, toe=happened) for event in LASTING]
    for claims in (*old, *told_late):
        assert both.post(signed(claims)).status_code == 202
        assert state(app, connection) == "active", claims


def test_a_token_is_acted_on_once(both: Sender) -> None:
    connected(both)
    token = signed(both.claims("account-credential-change-required"))
    assert [both.post(token).status_code for _ in range(3)] == [202] * 3
    assert len(both.entries()) == len(both.entries("connection.account_at_risk")) == 1
    with both.house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SecurityEvent)) == 1
    both.house.clock.advance(days=8)
    duties.sweep(both.house.broker)
    with both.house.broker.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SecurityEvent)) == 0
    assert both.post(token).status_code == 400, "too old by then"


def test_what_could_not_be_made_durable_is_not_acknowledged_and_is_done_when_it_comes_again(
    sender_to: Callable[..., Sender], sqlite_url: str
) -> None:
    sender = sender_to(sqlite_url)
    app, connection = connected(sender)
    token = signed(sender.claims("tokens-revoked"))
    with sender.house.broker.database.write() as session:
        session.execute(text("ALTER TABLE security_events RENAME TO away"))
    assert sender.post(token).status_code >= 500
    with sender.house.broker.database.write() as session:
        session.execute(text("ALTER TABLE away RENAME TO security_events"))
    assert sender.post(token).status_code == 202
    assert state(app, connection) == "revoking"
    assert len(app.call("GET", "/v1/revocations").json()["items"]) == 1


# --- what is refused -----------------------------------------------------------------------------------------

Bad = Callable[[dict[str, Any]], str]


def _hs256(message: bytes) -> bytes:
    """As one would who takes the public key for a shared secret."""
    return hmac.digest(OURS.as_pem(private=False), message, "sha256")


FORGED: dict[str, tuple[str, Bad]] = {
    "none": ("invalid_key", lambda claims: signed(claims, by=lambda _: b"x", alg="none")),
    "hs256": ("invalid_key", lambda claims: signed(claims, by=_hs256, alg="HS256")),
    "rs512": ("invalid_key", lambda claims: signed(claims, alg="RS512")),
    "foreign key": ("invalid_key", lambda claims: signed(claims, by=FOREIGN.sign)),
    "unknown kid": ("invalid_key", lambda claims: signed(claims, kid="K2")),
    "no kid": ("invalid_key", lambda claims: signed(claims, kid=None)),
    "key within": ("invalid_key", lambda claims: signed(claims, by=FOREIGN.sign, jwk={"kty": "RSA"})),
    "critical": ("invalid_key", lambda claims: signed(claims, crit=["b64"], b64=False)),
    "other issuer": ("invalid_issuer", lambda claims: signed({**claims, "iss": "https://evil.example/"})),
    "no issuer": ("invalid_issuer", lambda claims: signed({**claims, "iss": None})),
    "other audience": ("invalid_audience", lambda claims: signed({**claims, "aud": "other.example"})),
    "no audience": ("invalid_audience", lambda claims: signed({**claims, "aud": None})),
    "part of audience": ("invalid_audience", lambda claims: signed({**claims, "aud": [f"{CLIENT}.evil"]})),
    "too old": ("invalid_request", lambda claims: signed({**claims, "iat": claims["iat"] - 8 * 86_400})),
    "of the future": ("invalid_request", lambda claims: signed({**claims, "iat": claims["iat"] + 3600})),
    "no time": ("invalid_request", lambda claims: signed({**claims, "iat": "now"})),
    "no jti": ("invalid_request", lambda claims: signed({**claims, "jti": ""})),
    "no events": ("invalid_request", lambda claims: signed({**claims, "events": {}})),
    "an id_token": ("invalid_request", lambda claims: signed({**claims, "events": None, "sub": ANI}, typ="JWT")),
    "claims twice": ("invalid_request", lambda claims: signed(json.dumps(claims).encode()[:-1] + b', "iss": 1}')),
    "no JSON": ("invalid_request", lambda claims: signed(b"tokens-revoked")),
    "two parts": ("invalid_request", lambda claims: signed(claims).rpartition(".")[0]),
    "padded": ("invalid_request", lambda claims: signed(claims) + "=="),
    "nothing": ("invalid_request", lambda _: ""),
    "beyond the cap": ("invalid_request", lambda claims: signed({**claims, "more": "x" * 20_000})),
}


def test_what_google_did_not_sign_for_us_is_refused_and_changes_nothing(sender: Sender) -> None:
    """INP-85; RFC 8935 §2.4."""
    app, connection = connected(sender)
    for what, (err, forged) in FORGED.items():
        answer = sender.post(forged(sender.claims("tokens-revoked")))
        assert (what, answer.status_code, answer.json().get("err")) == (what, 400, err)
        assert set(answer.json()) == {"err", "description"}
    assert sender.post("x" * 70_000).status_code == 413
    assert (state(app, connection), sender.entries()) == ("active", [])
    for good in ({"aud": [CLIENT, "other.example"]}, {"iss": "accounts.google.com"}, {"exp": 1}):
        assert sender.says("verification", **good) == 202, good


def test_no_content_type_is_asked_for(sender: Sender) -> None:
    """What Google sends it under is not certain (docs/facts/google.md §2.2, 1)."""
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        answer = sender.post(signed(sender.claims("verification")) + "\n", **{"Content-Type": kind})
        assert answer.status_code == 202, kind


def test_where_googles_keys_cannot_be_had_it_is_told_to_send_again(sender: Sender) -> None:
    """Down, gone, or more than we read."""
    token = signed(sender.claims("verification"))
    for fault in ({"status": 503}, {"status": 404}, {"status": 200, "padding": 9 * 1024 * 1024}):
        vars(sender.keys).update(fault)
        answer = sender.post(token)
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable"), fault
        assert "Retry-After" in answer.headers
    assert sender.entries() == []
    sender.keys.padding = 0
    assert sender.post(token).status_code == 202


def test_keys_are_kept_and_forged_key_ids_do_not_make_us_ask_each_time(sender: Sender) -> None:
    for _ in range(5):
        assert sender.says("verification") == 202
        assert sender.post(signed(sender.claims("verification"), kid=secrets.token_hex(4))).status_code == 400
    assert sender.keys.asked <= 2
    sender.keys.status = 503
    sender.house.clock.advance(hours=2)
    assert sender.says("verification") == 202, "an hour's outage of the keys is none of ours"


def test_a_tenants_own_app_takes_events_for_its_own_client_alone_and_about_its_own_connections(
    sender: Sender, google: Google
) -> None:
    stage = Stage(sender.house, GOOGLE, google)
    stage.shared()
    shared = stage.client("warung")
    theirs = GOOGLE.connect(shared)
    own = stage.own()
    app = stage.client()
    mine = GOOGLE.connect(app)
    refusals = [
        sender.post(signed(sender.claims("tokens-revoked")), own),
        sender.post(signed(sender.claims("tokens-revoked", aud=GOOGLE.own_id))),
        sender.post(signed(sender.claims("tokens-revoked", aud=GOOGLE.own_id)), "app_of_nobody"),
        sender.post(signed(sender.claims("tokens-revoked")), "google"),
    ]
    assert {(answer.status_code, answer.text) for answer in refusals} == {(400, refusals[0].text)}
    assert (state(app, mine), state(shared, theirs)) == ("active", "active")
    assert sender.says("tokens-revoked", aud=GOOGLE.own_id, own=own) == 202
    assert (state(app, mine), state(shared, theirs)) == ("revoking", "active")
