"""Callers: client credentials, signed assertions, introspection, secrets that change (contract §2, STD-41…47)."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from broker import clients
from broker.models import Client
from tests.house import RETURN_URL, House, SalesApp

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def token(house: House, **form: Any) -> requests.Response:
    given = {"grant_type": "client_credentials", **form}
    return requests.post(f"{house.url}/oauth/token", data=given, timeout=30)


def works(house: House, bearer: str) -> bool:
    headers = {"Authorization": f"Bearer {bearer}"}
    return requests.get(f"{house.url}/v1/connectors", headers=headers, timeout=30).status_code == 200


# --- client credentials --------------------------------------------------------------------------------------


def test_a_client_gets_a_token_with_its_secret_in_the_form(house: House, app: SalesApp) -> None:
    answer = app.token().json()
    assert answer["token_type"] == "Bearer"
    assert 0 < answer["expires_in"] <= 900
    assert set(answer["scope"].split()) == {"connect", "connections:read", "records:read", "revoke"}


def test_a_client_gets_a_token_with_its_secret_in_the_header(house: House, app: SalesApp) -> None:
    form = {"grant_type": "client_credentials"}
    auth = (app.client_id, app.client_secret)
    assert requests.post(f"{house.url}/oauth/token", data=form, auth=auth, timeout=30).status_code == 200


def test_a_token_can_have_fewer_scopes_than_its_client(house: House, app: SalesApp) -> None:
    narrow = app.token(scope="connect").json()["access_token"]
    answer = requests.get(f"{house.url}/v1/connections", headers={"Authorization": f"Bearer {narrow}"}, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_scope_that_the_client_lacks_is_refused(app: SalesApp) -> None:
    answer = app.token(scope="connect admin")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_an_unknown_client_and_a_wrong_secret_answer_alike(house: House, app: SalesApp) -> None:
    wrong = app.token(client_secret="WRONG")
    unknown = token(house, client_id="cli_nobody", client_secret="WRONG")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["error"] == "invalid_client"


def test_a_token_ends_after_its_time(house: House, app: SalesApp) -> None:
    bearer = app.bearer
    assert works(house, bearer)
    house.clock.advance(seconds=901)
    assert not works(house, bearer)


def test_a_secret_is_stored_hashed(house: House, app: SalesApp) -> None:
    path = house.environ["BROKER_DATABASE_URL"].removeprefix("sqlite:///")
    app.token()
    with open(path, "rb") as file, open(f"{path}-wal", "rb") as log:
        stored = file.read() + log.read()
    assert app.client_secret.encode() not in stored
    assert app.bearer.encode() not in stored


@pytest.mark.parametrize("grant_type", ["authorization_code", "password", "refresh_token", "", "urn:x"])
def test_no_other_grant_is_served(app: SalesApp, grant_type: str) -> None:
    answer = app.token(grant_type=grant_type)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("unsupported_grant_type", "invalid_request")


def test_credentials_in_the_query_are_refused(house: House, app: SalesApp) -> None:
    params = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.client_secret}
    answer = requests.post(f"{house.url}/oauth/token", params=params, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# --- secrets that change -------------------------------------------------------------------------------------


def test_a_new_secret_works_beside_the_old_one_for_the_overlap(house: House, app: SalesApp) -> None:
    new = clients.add_secret(house.broker.database, house.clock(), app.client_id, overlap=timedelta(hours=1)).reveal()
    assert app.token().status_code == 200
    assert app.token(client_secret=new).status_code == 200
    house.clock.advance(hours=1, seconds=1)
    assert app.token().status_code == 401
    assert app.token(client_secret=new).status_code == 200


def test_a_disabled_clients_secret_and_tokens_are_refused_at_once(house: House, app: SalesApp) -> None:
    bearer = app.bearer
    clients.disable(house.broker.database, house.clock(), app.client_id)
    assert not works(house, bearer)
    assert app.token().status_code == 401


def test_a_scope_taken_from_a_client_is_gone_from_its_tokens(house: House, app: SalesApp) -> None:
    bearer = app.bearer
    with house.broker.database.write() as session:
        session.get_one(Client, app.client_id).scopes = ["connect"]
    headers = {"Authorization": f"Bearer {bearer}"}
    assert requests.get(f"{house.url}/v1/connections", headers=headers, timeout=30).json()["code"] == "forbidden"


# --- signed assertions ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "sync-1", "use": "sig"}, auto_kid=False)


def signing(house: House, *keys: Any) -> str:
    """A client that signs; its id."""
    client_id, secret = clients.register(
        house.broker.database,
        house.clock(),
        name="signs",
        scopes={"connections:read"},
        tenants={"toko"},
        connectors=set(),
        return_urls={RETURN_URL},
        jwks=KeySet(list(keys)).as_dict(private=False),
    )
    assert secret is None
    return client_id


def assertion(house: House, client_id: str, key: Any, *, algorithm: str = "ES256", **claims: Any) -> str:
    now = int(house.clock.timestamp())
    given = {
        "iss": client_id,
        "sub": client_id,
        "aud": house.url,
        "iat": now,
        "exp": now + 60,
        "jti": f"jti-{time.monotonic_ns()}",
        **claims,
    }
    kept = {name: value for name, value in given.items() if value is not None}
    return jwt.encode({"alg": algorithm, "kid": "sync-1"}, kept, key, algorithms=[algorithm])


def signed(house: House, made: str) -> requests.Response:
    return token(house, client_assertion_type=ASSERTION, client_assertion=made)


def test_a_client_with_a_key_gets_a_token_by_a_signed_assertion(house: House, key: ECKey) -> None:
    client_id = signing(house, key)
    answer = signed(house, assertion(house, client_id, key))
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "connections:read"


def test_the_token_endpoint_is_an_audience_too(house: House, key: ECKey) -> None:
    client_id = signing(house, key)
    assert signed(house, assertion(house, client_id, key, aud=f"{house.url}/oauth/token")).status_code == 200


def test_an_assertion_is_used_once(house: House, key: ECKey) -> None:
    made = assertion(house, signing(house, key), key)
    assert signed(house, made).status_code == 200
    assert signed(house, made).status_code == 401


def test_of_ten_equal_assertions_at_once_one_is_taken(house: House, key: ECKey) -> None:
    made, statuses = assertion(house, signing(house, key), key), []
    threads = [Thread(target=lambda: statuses.append(signed(house, made).status_code)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [401] * 9


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": 99_999_999_999},
        {"iss": "cli_other"},
        {"sub": "cli_other"},
        {"sub": ["x"]},
        {"jti": None},
        {"jti": 7},
        {"nbf": 99_999_999_999},
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(house: House, key: ECKey, claims: dict[str, Any]) -> None:
    answer = signed(house, assertion(house, signing(house, key), key, **claims))
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_an_assertion_by_another_key_is_refused(house: House, key: ECKey) -> None:
    other = ECKey.generate_key("P-256", {"kid": "sync-1"}, auto_kid=False)
    assert signed(house, assertion(house, signing(house, key), other)).status_code == 401


def test_an_assertion_signed_with_the_public_key_as_a_secret_is_refused(house: House) -> None:
    """The old confusion of algorithms: what is public must not serve as an HMAC key."""
    rsa = RSAKey.generate_key(2048, {"kid": "sync-1"}, auto_kid=False)
    body = assertion(house, signing(house, rsa), rsa, algorithm="RS256").split(".")[1]
    head = urlsafe_b64encode(b'{"alg":"HS256","kid":"sync-1"}').decode().rstrip("=")
    mac = hmac.digest(rsa.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    forged = f"{head}.{body}.{urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert signed(house, forged).status_code == 401


def test_an_unsigned_assertion_is_refused(house: House, key: ECKey) -> None:
    head, _, rest = assertion(house, signing(house, key), key).partition(".")
    body = rest.partition(".")[0]
    assert head
    assert signed(house, f"eyJhbGciOiJub25lIn0.{body}.").status_code == 401


def test_a_client_with_a_key_has_no_secret_to_guess(house: House, key: ECKey) -> None:
    assert token(house, client_id=signing(house, key), client_secret="").status_code == 401


def test_a_client_with_a_secret_cannot_sign(house: House, app: SalesApp, key: ECKey) -> None:
    assert signed(house, assertion(house, app.client_id, key)).status_code == 401


@pytest.mark.parametrize("made", ["", "x", "a.b.c", "e30.e30.e30", "." * 500, "é.é.é"])
def test_what_is_no_assertion_is_refused(house: House, made: str) -> None:
    assert signed(house, made).status_code == 401


def test_private_keys_are_not_taken_for_public_ones(key: ECKey) -> None:
    private = json.dumps({"keys": [key.as_dict(private=True)]}).encode()
    with pytest.raises(ValueError, match="not a public key"):
        clients.public_keys(private)


# --- introspection -------------------------------------------------------------------------------------------


def introspect(asking: SalesApp, about: str) -> dict[str, Any]:
    form = {"token": about, "client_id": asking.client_id, "client_secret": asking.client_secret}
    answer = requests.post(f"{asking.url}/oauth/introspect", data=form, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_client_introspects_its_own_token(house: House, app: SalesApp) -> None:
    found = introspect(app, app.bearer)
    assert found["active"] is True
    assert found["client_id"] == app.client_id
    assert found["exp"] > found["iat"]
    assert found["iss"] == house.url


def test_another_clients_token_is_not_known(house: House, app: SalesApp) -> None:
    assert introspect(house.client("connect"), app.bearer) == {"active": False}


def test_an_admin_introspects_any_token(house: House, app: SalesApp) -> None:
    assert introspect(house.client("admin"), app.bearer)["active"] is True


@pytest.mark.parametrize("about", ["unknown", "x" * 5000, "con_1"])
def test_what_is_no_token_is_inactive(app: SalesApp, about: str) -> None:
    assert introspect(app, about) == {"active": False}


def test_an_ended_token_is_inactive(house: House, app: SalesApp) -> None:
    bearer = app.bearer
    house.clock.advance(seconds=901)
    assert introspect(app, bearer) == {"active": False}


def test_introspection_needs_a_client(house: House, app: SalesApp) -> None:
    answer = requests.post(f"{house.url}/oauth/introspect", data={"token": app.bearer}, timeout=30)
    assert answer.status_code == 401


def test_the_metadata_names_every_endpoint_and_method(house: House) -> None:
    found = requests.get(f"{house.url}/.well-known/oauth-authorization-server", timeout=30).json()
    assert found["issuer"] == house.url
    for name in ("token", "revocation", "introspection"):
        assert found[f"{name}_endpoint"].startswith(house.url)
        assert "private_key_jwt" in found[f"{name}_endpoint_auth_methods_supported"]
    assert "none" not in found["token_endpoint_auth_signing_alg_values_supported"]


# --- bearer use ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer x y", "Bearer \x7f", "bearer nobody"]
)
def test_without_a_valid_token_there_is_a_401_that_says_so(house: House, header: str) -> None:
    answer = requests.get(
        f"{house.url}/v1/connections", headers={"Authorization": header} if header else {}, timeout=30
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_in_the_query_is_refused(house: House, app: SalesApp) -> None:
    """STD-40: an address ends up in logs."""
    answer = requests.get(f"{house.url}/v1/connections", params={"access_token": app.bearer}, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
