"""What a provider refused an older token takes nothing from what was granted since, and nobody is forgotten whose token
still lives (docs/facts/meta.md §1.10, §6.1)."""

import pytest

from broker.connections import reread, tokens
from broker.models import Connection, Orphan
from broker.providers.data.graph import listed
from broker.secret import Secret
from broker.upstream import TokenAnswer
from tests.house import House
from tests.meta import ANI, ANI_AT_INSTAGRAM, Facebook


def connection(house: House, connection_id: str) -> Connection:
    with house.broker.database.read() as session:
        return session.get_one(Connection, connection_id)


def test_an_old_refusal_takes_no_scope_that_a_newer_token_was_granted(meta: House) -> None:
    app = meta.client()
    made = app.connect("instagram_profile", "instagram_comments", provider="instagram", account=ANI_AT_INSTAGRAM)
    row = connection(meta, made["id"])
    scope = {"instagram_business_manage_comments"}
    reread.take_away(meta.broker, row.id, row.token_version - 1, scope)
    assert scope <= set(connection(meta, row.id).granted_scopes)
    reread.take_away(meta.broker, row.id, row.token_version, scope)
    assert not scope & set(connection(meta, row.id).granted_scopes)


def test_an_old_refusal_drops_no_page_that_was_chosen_anew(meta: House) -> None:
    app = meta.client()
    page = "104820017650001"
    made = app.connect("facebook_pages", provider="facebook", account=ANI, assets={"facebook_pages": [page]})
    row = connection(meta, made["id"])
    reread.drop_asset(meta.broker, row.id, row.token_version - 1, page)
    assert app.records(row.id, "facebook_pages").status_code == 200
    reread.drop_asset(meta.broker, row.id, row.token_version, page)
    assert app.records(row.id, "facebook_pages").json()["code"] in ("not_granted", "asset_required")


@pytest.mark.parametrize("dead_comes_last", [True, False])
def test_orphans_of_one_account_are_ended_as_long_as_one_of_them_lives(
    meta: House, facebook: Facebook, dead_comes_last: bool
) -> None:
    app = meta.client()
    made = app.connect("facebook_profile", provider="facebook", account=ANI)
    row = connection(meta, made["id"])
    with meta.broker.database.write() as session:
        living = tokens.open_token(meta.broker, session, row, "access_token")
        assert living
        for value in [living, Secret("EAAdead")] if dead_comes_last else [Secret("EAAdead"), living]:
            answer = TokenAnswer(value, None, None, None, None, None, {})
            tokens.orphan(
                meta.broker, session, answer, tenant="toko", app_id="facebook", account_index=row.account_index
            )
        session.get_one(Connection, row.id).live = None
        session.get_one(Connection, row.id).state = "revoked"
    meta.work()
    assert facebook.state()["grants"] == []
    with meta.broker.database.read() as session:
        assert session.query(Orphan).count() == 0


@pytest.mark.parametrize(("sent", "kept"), [(17900001000000300, "17900001000000300"), ("7_1", "7_1"), (True, True)])
def test_a_record_whose_id_comes_as_a_number_is_not_lost(sent: object, kept: object) -> None:
    assert listed({"data": [{"id": sent}]})[0][0]["id"] == kept
