"""Killed outright (-9) in the middle of a webhook: what was done stays, what was not is done when the provider, which
got no answer, sends it again; nothing is done twice. docs/facts/security.md INP-84.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from broker.models import AuditEntry, EventDelivery, EventEndpoint
from broker.runtime import utc_now
from broker.sandbox.facebook.seed import ANI_PAGE, user_id
from broker.sandbox.graph_hooks import hub_signature
from tests.crash.test_crash import QUICK, Killing, dies, eventually
from tests.meta import ANI, FACEBOOK_APP, SETTINGS
from tests.processes import installed


@pytest.fixture
def killing(sqlite_url: str, tmp_path: Path) -> Iterator[Killing]:
    with installed(tmp_path, sqlite_url, **SETTINGS, **QUICK) as installation:
        yield Killing(installation, tmp_path)


def test_a_webhook_that_died_on_its_way_is_done_when_it_comes_again(killing: Killing) -> None:
    app = killing.serve("webhook.changed")
    chosen = {name: [ANI_PAGE] for name in ("facebook_pages", "facebook_inbox")}
    connection = app.connect(*chosen, "facebook_profile", provider="facebook", account=ANI, assets=chosen)["id"]
    with killing.installation.database() as session:
        endpoint = EventEndpoint(id="eve_1", client_id=app.client_id, url="https://sales.example/", tenants=["*"])
        endpoint.types, endpoint.created_at = ["records.available"], utc_now()
        session.add(endpoint)
    uid, time = user_id(FACEBOOK_APP, ANI), int(utc_now().timestamp())
    taken = {"field": "pages_messaging", "value": {"verb": "revoked"}}
    raw = json.dumps(
        [
            {"object": "permissions", "entry": [{"id": uid, "uid": uid, "time": time, "changes": [taken]}]},
            {"object": "page", "entry": [{"id": ANI_PAGE, "time": time, "changed_fields": ["feed", "messages"]}]},
        ]
    ).encode()
    signed = {"X-Hub-Signature-256": hub_signature(SETTINGS["BROKER_FACEBOOK_CLIENT_SECRET"], raw)}

    def sent() -> requests.Response:
        url = f"{killing.installation.url}/hooks/facebook/webhook"
        return requests.post(url, data=raw, headers=signed, timeout=30)

    def announced() -> list[str]:
        with killing.installation.database() as session:
            rows = session.scalars(select(EventDelivery.body).where(EventDelivery.type == "records.available"))
            return [json.loads(body)["data"]["connector"] for body in rows]

    dies(sent)
    killing.was_hit()
    assert announced() == []
    shown = eventually(lambda: app.call("GET", f"/v1/connections/{connection}"), 200).json()
    assert "pages_messaging" not in shown["scopes"]
    assert [eventually(sent, 200).status_code for _ in range(2)] == [200, 200]
    assert announced() == ["facebook_pages"]
    with killing.installation.database() as session:
        changed = select(AuditEntry).where(AuditEntry.action == "connection.scopes_changed")
        assert len(session.scalars(changed).all()) == 1
