"""`broker providers`: what it registers and prints, what it refuses, and that no secret comes out of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker import apps
from broker.secret import Secret
from tests.cli.said import Run, Said
from tests.connections.own import ENVIRON
from tests.house import Browser, House, SalesApp, query
from tests.meta import ANI, FACEBOOK_APP, Facebook

SECRET = "PROVIDER-SECRET-2-of-toko"


@pytest.fixture
def house(build_meta: Callable[..., House], sqlite_url: str) -> House:
    return build_meta(sqlite_url, **ENVIRON)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Holds the secret as an editor leaves it."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return str(path)


def added(run: Run, file: str, *more: str, provider: str = "facebook", tenant: str = "toko", **how: str) -> Said:
    needed = ("--tenant", tenant, "--client-id", f"client-of-{tenant}", "--client-secret-file", file)
    return run("providers", "add", provider, *needed, *more, "--json", **how)


def listed(run: Run) -> dict[str, dict[str, Any]]:
    said = run("providers", "list", "--json")
    assert said.status == 0, said.err
    return {app["id"]: app for app in json.loads(said.out)}


def no_app(house: House) -> bool:
    return apps.listed(house.broker.database) == []


# --- add -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "hooks"),
    [
        ("google", ["events"]),
        ("facebook", ["deauthorize", "deletion", "webhook"]),
        ("instagram", ["deauthorize", "deletion", "webhook"]),
        ("idp", []),
    ],
)
def test_what_must_be_registered_at_the_provider_is_printed(
    run: Run, house: House, file: str, provider: str, hooks: list[str]
) -> None:
    said = added(run, file, provider=provider)
    assert said.status == 0, said.err
    facts = said.json()
    app_id = facts["id"]
    assert facts == {
        "id": app_id,
        "callback_url": f"{house.url}/callback/{provider}/{app_id}",
        "hook_urls": [f"{house.url}/hooks/{provider}/{app_id}/{hook}" for hook in hooks],
    }
    app = house.broker.app(app_id)
    assert (app.tenant, app.client_id, app.client_secret) == ("toko", "client-of-toko", Secret(SECRET))


def test_for_people_the_addresses_stand_one_a_line(run: Run, house: House, file: str) -> None:
    said = run(
        *("providers", "add", "facebook", "--tenant", "toko", "--client-id", "123", "--client-secret-file", file)
    )
    (app,) = apps.listed(house.broker.database)
    assert f"id: {app['id']}" in said.out
    assert f"callback: {house.url}/callback/facebook/{app['id']}\n" in said.out
    assert f"hook: {house.url}/hooks/facebook/{app['id']}/webhook\n" in said.out


def test_the_tenant_connects_by_what_was_added(run: Run, house: House, facebook: Facebook, file: str) -> None:
    facts = added(run, file).json()
    registered = {"app": "client-of-toko", "secret": SECRET, "redirect_uris": [facts["callback_url"]]}
    facebook.control("apps", registered)
    app = house.client()
    connection = app.connect("facebook_profile", provider="facebook", account=ANI)
    assert app.records(connection["id"], "facebook_profile").status_code == 200


def test_the_secret_can_be_piped(run: Run, house: House) -> None:
    app_id = added(run, "-", piped=f"{SECRET}\r\n").json()["id"]
    assert house.broker.app(app_id).client_secret == Secret(SECRET)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_secret_that_others_can_read_is_refused(run: Run, house: House, file: str, mode: int) -> None:
    Path(file).chmod(mode)
    said = added(run, file)
    assert said.status == 1
    assert f"chmod 600 {file}" in said.err
    assert no_app(house)


@pytest.mark.parametrize(
    "held", ["", "\n", "two\nlines", "a space", "a tab\t", "e\u0301", "x" * 513, f"{SECRET}\n\n", "\0"], ids=repr
)
def test_a_file_that_holds_no_secret_is_refused_and_not_quoted(run: Run, house: House, file: str, held: str) -> None:
    Path(file).write_text(held)
    said = added(run, file)
    assert said.status == 2
    assert "--client-secret-file" in said.err
    assert not held.strip() or held.strip() not in said.err
    assert no_app(house)


def test_a_file_that_is_missing_is_named(run: Run, house: House) -> None:
    said = added(run, "nowhere")
    assert said.status == 2
    assert "nowhere" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("provider", ["twitter", "Facebook", "", "*"])
def test_an_unknown_provider_is_refused_and_those_there_are_named(run: Run, file: str, provider: str) -> None:
    said = added(run, file, provider=provider)
    assert said.status == 2
    assert "google, facebook, instagram, idp" in said.err.replace("facebook, google", "google, facebook")


@pytest.mark.parametrize("tenant", ["*", "two words", "", "x" * 129, "toko\n"])
def test_what_is_no_tenant_is_refused(run: Run, house: House, file: str, tenant: str) -> None:
    said = added(run, file, tenant=tenant)
    assert said.status == 2
    assert "--tenant" in said.err
    assert no_app(house)


def test_a_second_app_of_the_tenant_at_the_provider_is_refused(run: Run, house: House, file: str) -> None:
    first = added(run, file).json()["id"]
    said = added(run, file)
    assert said.status == 1
    assert "already" in said.err
    assert [app["id"] for app in apps.listed(house.broker.database)] == [first]
    assert added(run, file, provider="google").status == 0
    assert added(run, file, tenant="warung").status == 0


def test_the_shared_apps_client_id_is_refused(run: Run, house: House, file: str) -> None:
    """Two apps here that are one at the provider end each other's authorizations."""
    said = run(
        *("providers", "add", "facebook", "--tenant", "toko", "--client-id", FACEBOOK_APP, "--client-secret-file", file)
    )
    assert said.status == 2
    assert "shared" in said.err
    assert no_app(house)


# --- options -------------------------------------------------------------------------------------------------


def test_options_are_the_apps_own_where_they_are_named(run: Run, house: House, file: str) -> None:
    app_id = added(run, file, "--option", "GRAPH_VERSION=v25.0", "--option", "PKCE=off").json()["id"]
    options = house.broker.app(app_id).options
    assert (options["GRAPH_VERSION"], options["PKCE"], options["CONFIG_ID"]) == ("v25.0", "off", "")
    assert house.broker.app("facebook").options["PKCE"] == "on"


@pytest.mark.parametrize(
    "option",
    ["GRAPH_VERSION=latest", "PKCE=maybe", "COLOUR=red", "PKCE", "=off", "pkce=off", "CLIENT_SECRET=x", "PKCE=off\n"],
)
def test_an_option_that_the_provider_does_not_declare_so_is_refused(
    run: Run, house: House, file: str, option: str
) -> None:
    said = added(run, file, "--option", option)
    assert said.status == 2
    assert "--option" in said.err
    assert no_app(house)


def test_an_option_that_stands_twice_is_refused(run: Run, file: str) -> None:
    assert added(run, file, "--option", "PKCE=off", "--option", "PKCE=on").status == 2


def test_a_secret_option_comes_from_a_file_and_is_never_shown(run: Run, house: House, file: str) -> None:
    """On a command line every process of the machine could read it."""
    said = added(run, file, "--option", "WEBHOOK_VERIFY_TOKEN=PROVIDER-SECRET-1")
    assert said.status == 2
    assert "PROVIDER-SECRET-1" not in said.err
    app_id = added(run, file, "--option-file", f"WEBHOOK_VERIFY_TOKEN={file}").json()["id"]
    assert house.broker.app(app_id).options["WEBHOOK_VERIFY_TOKEN"] == SECRET
    assert SECRET not in run("providers", "list").out + run("providers", "list", "--json").out
    assert "WEBHOOK_VERIFY_TOKEN" not in listed(run)[app_id]["options"]


# --- list ----------------------------------------------------------------------------------------------------


def test_the_list_has_shared_and_own_apps_and_no_secret(run: Run, house: House, file: str) -> None:
    app_id = added(run, file).json()["id"]
    found = listed(run)
    assert set(found) == {"google", "facebook", "instagram", "idp", app_id}
    assert found["google"]["callback_url"] == f"{house.url}/callback/google"
    assert found["facebook"]["hook_urls"][0] == f"{house.url}/hooks/facebook/deauthorize"
    assert (found[app_id]["tenant"], found["facebook"]["tenant"]) == ("toko", None)
    assert found[app_id]["client_id"] == "client-of-toko"
    said = run("providers", "list").out + json.dumps(found)
    assert "PROVIDER-SECRET" not in said
    assert "Secret(" not in said


def test_the_list_counts_live_connections(run: Run, house: House, facebook: Facebook, file: str) -> None:
    app = house.client()
    connection = app.connect("facebook_profile", provider="facebook", account=ANI)["id"]
    assert listed(run)["facebook"]["connections"] == 1
    app.revoke(connection)
    assert listed(run)["facebook"]["connections"] == 0


# --- change-secret -------------------------------------------------------------------------------------------


def test_a_secret_is_changed(run: Run, house: House, file: str) -> None:
    app_id = added(run, file).json()["id"]
    said = run("providers", "change-secret", app_id, "--client-secret-file", "-", piped="PROVIDER-SECRET-3-new")
    assert said.status == 0
    assert "PROVIDER-SECRET" not in said.out + said.err
    assert house.broker.app(app_id).client_secret == Secret("PROVIDER-SECRET-3-new")


@pytest.mark.parametrize("app_id", ["app_none", "facebook"])
def test_an_app_that_is_nobodys_own_has_no_secret_to_change(run: Run, file: str, app_id: str) -> None:
    said = run("providers", "change-secret", app_id, "--client-secret-file", file)
    assert said.status == 1
    assert "no such provider app" in said.err


# --- remove --------------------------------------------------------------------------------------------------


@pytest.fixture
def connected(run: Run, house: House, facebook: Facebook, file: str) -> tuple[str, SalesApp, str]:
    """An own app, the tenant's client, and its one connection."""
    facts = added(run, file).json()
    facebook.control("apps", {"app": "client-of-toko", "secret": SECRET, "redirect_uris": [facts["callback_url"]]})
    app = house.client()
    return facts["id"], app, app.connect("facebook_profile", provider="facebook", account=ANI)["id"]


def test_removal_says_what_it_leaves_without_data(run: Run, connected: tuple[str, SalesApp, str]) -> None:
    app_id, app, connection = connected
    said = run("providers", "remove", app_id, "--yes")
    assert said.status == 0
    assert "without data: 1" in said.err
    assert app_id not in listed(run)
    assert app.records(connection, "facebook_profile").json()["code"] == "reconnect_required"


def test_at_a_terminal_it_asks_before(run: Run, connected: tuple[str, SalesApp, str]) -> None:
    app_id = connected[0]
    assert run("providers", "remove", app_id, typed="n\n").status == 1
    assert run("providers", "remove", app_id, typed="\n").status == 1
    assert app_id in listed(run)
    assert run("providers", "remove", app_id, typed="y\n").status == 0
    assert app_id not in listed(run)


def test_without_a_terminal_nothing_is_removed_unless_it_is_told_to(
    run: Run, connected: tuple[str, SalesApp, str]
) -> None:
    said = run("providers", "remove", connected[0], piped="y\n")
    assert said.status == 2
    assert "--yes" in said.err
    assert connected[0] in listed(run)


def test_a_removal_can_be_repeated_and_finishes_what_was_interrupted(
    run: Run, house: House, connected: tuple[str, SalesApp, str]
) -> None:
    app_id, app, connection = connected
    apps.remove(house.broker.database, house.broker.vault, house.clock(), app_id)
    assert app.connection(connection)["state"] == "active"
    assert run("providers", "remove", app_id, "--yes").status == 0
    assert app.connection(connection)["state"] == "reconnect_required"


def test_the_shared_app_is_switched_off_in_the_settings(run: Run) -> None:
    said = run("providers", "remove", "facebook", "--yes")
    assert said.status == 2
    assert "settings" in said.err


def test_an_unknown_app_is_named_as_such(run: Run) -> None:
    said = run("providers", "remove", "app_none", "--yes")
    assert said.status == 1
    assert "no such provider app" in said.err


def test_each_change_is_in_the_audit_without_the_secret(run: Run, house: House, file: str) -> None:
    app_id = added(run, file).json()["id"]
    run("providers", "change-secret", app_id, "--client-secret-file", file)
    run("providers", "remove", app_id, "--yes")
    entries = [json.loads(line) for line in run("audit", "export").out.splitlines()]
    done = [entry for entry in entries if str(entry.get("action", "")).startswith("provider_app.")]
    assert [entry["action"].partition(".")[2] for entry in done] == ["added", "changed", "removed"]
    assert {entry["actor"] for entry in done} == {"operator"}
    assert "PROVIDER-SECRET" not in json.dumps(entries)


# --- doctor --------------------------------------------------------------------------------------------------


def examined(run: Run) -> tuple[int, dict[str, dict[str, Any]]]:
    said = run("doctor", "--json")
    return said.status, {finding["check"]: finding for finding in json.loads(said.out)}


def test_the_doctor_looks_at_tenants_apps(run: Run, file: str) -> None:
    app_id = added(run, file).json()["id"]
    status, found = examined(run)
    assert status == 0
    assert found[f"provider app {app_id}"]["held"]
    assert "toko" in found[f"provider app {app_id}"]["seen"]


def test_the_doctor_finds_an_own_app_whose_provider_is_gone(
    run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_id = added(run, file, provider="idp").json()["id"]
    for name in ENVIRON:
        monkeypatch.delenv(name)
    status, found = examined(run)
    assert status == 1
    assert not found[f"provider app {app_id}"]["held"]
    assert "not configured" in found[f"provider app {app_id}"]["seen"]


def test_the_doctor_finds_a_registration_that_is_also_the_shared_one(
    run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings can change after the app was added."""
    app_id = added(run, file).json()["id"]
    monkeypatch.setenv("BROKER_FACEBOOK_CLIENT_ID", "client-of-toko")
    status, found = examined(run)
    assert status == 1
    assert "shared" in found[f"provider app {app_id} settings"]["seen"]


def test_the_doctor_asks_a_provider_that_only_tenants_have_an_app_at(
    run: Run, file: str, facebook: Facebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(run, file)
    added(run, file, tenant="warung")
    monkeypatch.delenv("BROKER_FACEBOOK_CLIENT_ID")
    monkeypatch.delenv("BROKER_FACEBOOK_CLIENT_SECRET")
    before = len(facebook.requests())
    status, found = examined(run)
    assert (status, found["provider facebook"]["held"]) == (0, True)
    assert len(facebook.requests()) == before + 1


def test_explain_says_that_a_connection_of_a_removed_app_must_be_connected_anew(
    run: Run, connected: tuple[str, SalesApp, str]
) -> None:
    run("providers", "remove", connected[0], "--yes")
    said = run("explain", connected[2], "facebook_profile")
    assert said.status == 1
    assert "connect again" in said.out
    assert "Traceback" not in said.err


def test_the_address_that_is_printed_is_the_one_that_is_sent(run: Run, house: House, file: str) -> None:
    facts = added(run, file).json()
    url = house.client().begin("facebook_profile", provider="facebook")
    assert query(Browser().approve(url, ["facebook_profile"]))["redirect_uri"] == facts["callback_url"]
