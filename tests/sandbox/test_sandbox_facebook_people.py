"""People at Facebook: their fields, permissions, and their end. docs/facts/meta.md §1.9, §1.10, §4.1."""

import pytest

from tests.sandbox.facebook_client import ANI, ANI_PAGE, BUDI, FacebookApp, error


def test_me_has_id_and_name_by_itself(facebook: FacebookApp) -> None:
    me = facebook.get("/me", facebook.connect("email")).json()
    assert me == {"id": facebook.user_id(), "name": "Ani Wijaya"}


def test_me_is_found_by_its_own_id_too(facebook: FacebookApp) -> None:
    token = facebook.connect("email")
    assert facebook.get(f"/{facebook.user_id()}", token).json() == facebook.get("/me", token).json()


def test_the_id_of_a_person_differs_from_app_to_app(facebook: FacebookApp) -> None:
    other = FacebookApp(facebook.url, "4810002", "OTHER")
    ids = {facebook.get("/me", facebook.connect()).json()["id"], facebook.get("/me", other.connect()).json()["id"]}
    assert ids == {facebook.user_id(), other.user_id()}
    assert len(ids) == 2
    assert error(facebook.get(f"/{other.user_id()}", facebook.connect())) == (400, 100, 33)


def test_the_address_is_silently_absent_without_its_permission(facebook: FacebookApp) -> None:
    token = facebook.connect("email", ticked=[])
    assert facebook.get("/me", token, fields="id,email").json() == {"id": facebook.user_id()}
    token = facebook.connect("email", auth_type="rerequest")
    assert facebook.get("/me", token, fields="id,email").json()["email"] == ANI


@pytest.mark.parametrize("field", ["birthday", "gender", "hometown", "location", "link", "age_range"])
def test_another_personal_field_needs_its_own_permission(facebook: FacebookApp, field: str) -> None:
    assert field not in facebook.get("/me", facebook.connect("email"), fields=f"id,{field}").json()
    assert field in facebook.get("/me", facebook.connect(f"user_{field}"), fields=f"id,{field}").json()


def test_the_address_can_be_absent_though_granted(facebook: FacebookApp) -> None:
    token = facebook.connect("email")
    facebook.quirk(late_email=True)
    assert "email" not in facebook.get("/me", token, fields="id,email").json()
    facebook.quirk(late_email=None)
    facebook.told("accounts", {"email": ANI, "address": False})
    assert "email" not in facebook.get("/me", token, fields="id,email").json()


def test_a_field_that_nobody_has_is_refused(facebook: FacebookApp) -> None:
    assert error(facebook.get("/me", facebook.connect(), fields="id,shoe_size"))[:2] == (400, 100)


@pytest.mark.parametrize("fields", ["id,", "id{", "id,name}", "picture{url", "id name", "a.limit(2"])
def test_fields_that_are_no_list_are_refused(facebook: FacebookApp, fields: str) -> None:
    assert error(facebook.get("/me", facebook.connect(), fields=fields))[:2] == (400, 2500)


def test_nested_fields_choose_within_a_field(facebook: FacebookApp) -> None:
    me = facebook.get("/me", facebook.connect(), fields="picture{url,width}, permissions{status}").json()
    assert me["picture"]["data"].keys() == {"url", "width"}
    assert {"permission": "email", "status": "granted"} in me["permissions"]["data"]


def test_every_version_is_served_and_none(facebook: FacebookApp) -> None:
    token = facebook.connect()
    for prefix, version in (("/v19.0", "v19.0"), ("/v99.0", "v99.0"), ("", "v26.0")):
        answer = facebook.http.get(f"{facebook.url}{prefix}/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["facebook-api-version"]) == (200, version)


def test_what_is_not_there_looks_like_what_is_not_visible(facebook: FacebookApp) -> None:
    token = facebook.connect()
    for node in ("1", facebook.user_id(BUDI), "9" * 60):
        assert error(facebook.get(f"/{node}", token)) == (400, 100, 33)


# --- permissions ---------------------------------------------------------------------------------------------


def test_the_permissions_tell_granted_and_declined(facebook: FacebookApp) -> None:
    token = facebook.connect("email", "pages_show_list", ticked=["email"])
    assert facebook.permissions(token) == {
        "public_profile": "granted",
        "email": "granted",
        "pages_show_list": "declined",
    }


def test_an_app_token_reads_the_permissions_of_a_person_whose_token_is_dead(facebook: FacebookApp) -> None:
    facebook.connect("email")
    facebook.told("kill", {"why": "password"})
    found = facebook.data(f"/{facebook.user_id()}/permissions", facebook.app_token)
    assert {"permission": "email", "status": "granted"} in found


def test_nobody_reads_the_permissions_of_somebody_else(facebook: FacebookApp) -> None:
    token = facebook.connect()
    facebook.connect(account=BUDI)
    assert error(facebook.get(f"/{facebook.user_id(BUDI)}/permissions", token)) == (400, 100, 33)
    assert error(facebook.delete(f"/{facebook.user_id(BUDI)}/permissions", token)) == (400, 100, 33)
    assert error(facebook.get("/me/permissions", facebook.of_page()))[0] == 400


@pytest.mark.parametrize("by", ["app", "user"])
def test_deleting_all_permissions_ends_every_token_of_the_person_for_the_app(facebook: FacebookApp, by: str) -> None:
    first, second = facebook.connect(), facebook.short()
    page, other = facebook.page_token(first), facebook.connect(account=BUDI)
    answer = facebook.delete(f"/{facebook.user_id()}/permissions", facebook.app_token if by == "app" else second)
    assert (answer.status_code, answer.json()) == (200, True)
    for token in (first, second, page):
        assert error(facebook.get("/me", token)) == (400, 190, 458)
    assert facebook.get("/me", other).status_code == 200


def test_the_end_is_of_one_app(facebook: FacebookApp) -> None:
    other = FacebookApp(facebook.url, "4810002", "OTHER")
    facebook.connect()
    kept = other.connect()
    facebook.delete(f"/{facebook.user_id()}/permissions", facebook.app_token)
    assert other.get("/me", kept).status_code == 200


def test_old_tokens_stay_dead_after_a_new_consent(facebook: FacebookApp) -> None:
    old = facebook.connect()
    facebook.delete("/me/permissions", old)
    facebook.connect("email")
    assert error(facebook.get("/me", old)) == (400, 190, 458)
    assert facebook.state()["grants"][0]["permissions"] == dict.fromkeys(("public_profile", "email"), "granted")


def test_a_second_end_finds_nothing(facebook: FacebookApp) -> None:
    facebook.delete("/me/permissions", facebook.connect())
    assert error(facebook.delete(f"/{facebook.user_id()}/permissions", facebook.app_token)) == (400, 100, 33)


@pytest.mark.parametrize("form", ["path", "parameter"])
def test_deleting_one_permission_declines_it_and_no_more(facebook: FacebookApp, form: str) -> None:
    token = facebook.connect("email", "pages_show_list")
    path, query = ("/me/permissions/email", {}) if form == "path" else ("/me/permissions", {"permission": "email"})
    assert facebook.delete(path, token, **query).json() is True
    assert facebook.permissions(token) == {
        "public_profile": "granted",
        "email": "declined",
        "pages_show_list": "granted",
    }


@pytest.mark.parametrize("permission", ["public_profile", "ads_read"])
def test_what_was_not_given_or_cannot_be_declined_is_not_deleted(facebook: FacebookApp, permission: str) -> None:
    token = facebook.connect("email")
    assert error(facebook.delete(f"/me/permissions/{permission}", token))[:2] == (400, 100)


def test_a_deletion_may_answer_with_an_object(facebook: FacebookApp) -> None:
    facebook.quirk(success_object=True)
    assert facebook.delete("/me/permissions", facebook.connect()).json() == {"success": True}


def test_a_deletion_may_fail_in_its_body_alone(facebook: FacebookApp) -> None:
    facebook.quirk(delete_fails=True)
    token = facebook.connect()
    answer = facebook.delete("/me/permissions", token)
    assert (answer.status_code, answer.json()) == (200, False)
    assert facebook.get("/me", token).status_code == 200


def test_the_method_can_be_smuggled_in_the_query(facebook: FacebookApp) -> None:
    """§4.4: a GET that ends the grant, as at Graph."""
    token = facebook.connect()
    assert facebook.get("/me/permissions", token, method="delete").json() is True
    assert facebook.get("/me", token).status_code == 400


# --- the life of tokens --------------------------------------------------------------------------------------


def test_data_access_ends_apart_from_the_token(facebook: FacebookApp) -> None:
    token = facebook.connect()
    page = facebook.page_token(token)
    facebook.told("data-access", {"account": ANI})
    for dead in (token, page):
        assert error(facebook.get("/me", dead))[:2] == (400, 190)
        assert facebook.debug(dead)["is_valid"]
    assert facebook.permissions(token)["email"] == "granted"
    facebook.connect("email", auth_type="reauthorize")
    assert facebook.get("/me", token).status_code == 200


def test_data_access_ends_by_itself_after_ninety_days(facebook: FacebookApp) -> None:
    page = facebook.of_page()
    facebook.told("clock", {"advance": 91 * 24 * 3600})
    assert facebook.debug(page)["is_valid"]
    assert error(facebook.get(f"/{ANI_PAGE}/posts", page))[:2] == (400, 190)
