"""The profile of any OpenID provider: here of the fake Google, taken for one that is found by discovery."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from broker import records
from broker.clients import Caller
from broker.connections import use
from broker.errors import ProviderUnavailable
from broker.providers.openid import UserInfo
from broker.providers.resource import Listing, Place
from broker.scopes import Permitted
from tests.house import ANI, Google, House, SalesApp


@pytest.fixture
def job(build: Callable[..., House], sqlite_url: str) -> SalesApp:
    idp = {"ISSUER": "https://accounts.google.com", "CLIENT_ID": "idp-client", "CLIENT_SECRET": "PROVIDER-SECRET-1"}
    return build(sqlite_url, **{f"BROKER_OIDC_IDP_{name}": value for name, value in idp.items()}).client()


def profile(job: SalesApp) -> dict[str, Any]:
    connection = job.connect("openid_profile", provider="idp")
    answer = job.records(connection["id"], "openid_profile")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_profile_is_one_record_and_leads_nowhere(job: SalesApp, google: Google):
    google.quirk(short_scopes=True)
    body = profile(job)
    (record,) = body["records"]
    assert (record["id"], record["name"], record["email"]) == (ANI, "Ani Wijaya", "ani@example.com")
    assert record["source"] == {"provider": "idp", "account": ANI}
    assert (body["next_cursor"], body["has_more"], body["withheld"]) == (None, False, [])


def test_a_claim_whose_scope_was_not_granted_is_withheld_though_the_provider_sends_it(job: SalesApp, google: Google):
    """This provider answers with scopes that this broker, to whom it is nobody in particular, cannot tell."""
    body = profile(job)
    assert [entry["field"] for entry in body["withheld"] if entry["missing_scopes"] == ["email"]] == [
        "email",
        "email_verified",
    ]
    assert "email" not in body["records"][0]
    assert "name" not in body["records"][0]


def test_without_a_refresh_token_a_connection_lasts_as_long_as_its_access_token(
    job: SalesApp, google: Google, later: Callable[..., None]
):
    google.quirk(short_scopes=True)
    connection = job.connect("openid_profile", provider="idp")
    later(job, seconds=3599 - 30)
    assert job.records(connection["id"], "openid_profile").status_code == 200
    later(job, seconds=60)
    for _ in range(2):
        assert job.records(connection["id"], "openid_profile").json()["code"] == "reconnect_required"
    assert job.connection(connection["id"])["state"] == "reconnect_required"


def test_userinfo_of_another_subject_is_not_passed_on(sqlite_house: House, connection: dict[str, Any]):
    """OpenID Connect Core §5.3.2: it must be the id_token's."""
    broker, everything = sqlite_house.broker, frozenset({"*"})
    caller = Caller("cli_x", frozenset(), everything, everything, frozenset())
    standing = use.standing(broker, caller, connection["id"], "google_contacts")
    standing = replace(standing, connector=broker.connectors["openid_profile"])
    asked = Place(fields=("sub", "name"))
    decision = replace(
        records.decide(broker, use.standing(broker, caller, connection["id"], "google_contacts"), None),
        resource=UserInfo(),
        permitted=Permitted(("sub", "name")),
    )
    own = Listing([{"sub": ANI, "name": "Ani"}], None, has_more=False)
    assert records._converted(broker, standing, decision, asked, own)[0]["name"] == "Ani"
    foreign = Listing([{"sub": "1", "name": "Mallory"}], None, has_more=False)
    with pytest.raises(ProviderUnavailable) as refused:
        records._converted(broker, standing, decision, asked, foreign)
    assert refused.value.retryable is False
