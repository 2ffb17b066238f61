"""Connections as a client lists them: its tenants' alone, by what it asks for, page by page (contract §3)."""

import pytest

from tests.connections.test_revoke import code
from tests.house import BUDI, House, SalesApp


@pytest.fixture
def of_all(sqlite_house: House) -> SalesApp:
    """A client of two tenants, with an active connection of ani's and an ended one of budi's; kios has one too."""
    app = sqlite_house.client(tenants=("toko", "kios"))
    app.connect("google_contacts")
    sqlite_house.client(tenants=("kios",), tenant="kios", subject="dewi").connect("google_contacts")
    app.subject = "budi"
    app.revoke(app.connect("google_contacts", account=BUDI)["id"])
    return app


def subjects(app: SalesApp, **params: object) -> list[str]:
    return sorted(item["subject"] for item in app.call("GET", "/v1/connections", params=params).json()["items"])


def test_connections_are_listed_by_tenant_subject_provider_and_state_and_by_all_of_them(
    sqlite_house: House, of_all: SalesApp
) -> None:
    assert subjects(of_all) == ["ani", "budi", "dewi"]
    assert subjects(of_all, tenant="kios") == ["dewi"]
    assert subjects(of_all, subject="ani") == ["ani"]
    assert subjects(of_all, provider="google", tenant="toko") == ["ani", "budi"]
    assert subjects(of_all, provider="facebook") == []
    assert subjects(of_all, state="active", tenant="toko") == ["ani"]
    assert subjects(of_all, state="suspended") == []
    assert subjects(sqlite_house.client()) == ["ani", "budi"]
    assert subjects(sqlite_house.client(tenants=("*",))) == ["ani", "budi", "dewi"]


def test_a_foreign_tenant_and_an_unknown_state_are_refused_and_not_answered_with_nothing(of_all: SalesApp) -> None:
    assert code(of_all.call("GET", "/v1/connections", params={"tenant": "pergi"})) == (404, "not_found")
    answer = of_all.call("GET", "/v1/connections", params={"state": "ACTIVE"})
    assert code(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["field"] == "state"


def test_pages_follow_one_another_until_there_is_no_further_one(of_all: SalesApp) -> None:
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = of_all.call(
            "GET", "/v1/connections", params={"limit": 1, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert len(set(seen)) == 3
    assert seen == sorted(seen)
