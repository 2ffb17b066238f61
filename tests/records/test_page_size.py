"""A page holds no more records than were asked for, whatever one answer of a provider holds; none is lost or twice."""

from typing import Any

import pytest

from tests.house import House, SalesApp
from tests.meta import ANI, ANI_AT_INSTAGRAM


def pages(app: SalesApp, connection: str, connector: str, limit: int, most: int) -> list[list[dict[str, Any]]]:
    """The first pages, `most` of them."""
    found, cursor = [], None
    for _ in range(most):
        body = app.records(connection, connector, limit=limit, **({"cursor": cursor} if cursor else {})).json()
        found.append(body["records"])
        cursor = body["next_cursor"]
        assert not (body["reset"] and len(found) > 1)
        if not body["has_more"]:
            break
    return found


@pytest.mark.parametrize("limit", [1, 3, 8, 100])
@pytest.mark.parametrize(
    ("provider", "connector", "account"),
    [
        ("instagram", "instagram_comments", ANI_AT_INSTAGRAM),
        ("instagram", "instagram_inbox", ANI_AT_INSTAGRAM),
        ("facebook", "facebook_comments", ANI),
    ],
)
def test_no_page_is_longer_than_asked_for_and_all_pages_together_are_the_same(
    meta: House, provider: str, connector: str, account: str, limit: int
) -> None:
    app = meta.client()
    connection = app.connect(connector, provider=provider, account=account)["id"]
    path = f"/v1/connections/{connection}/assets/{connector}"
    if offered := app.call("GET", path).json()["items"]:
        app.call("PUT", path, {"assets": [offered[1]["id"]]})
    found = pages(app, connection, connector, limit, 30)
    assert max(map(len, found)) <= limit
    ids = [record["id"] for page in found for record in page]
    assert len(ids) == len(set(ids))
    whole = [record["id"] for page in pages(app, connection, connector, 1000, 99) for record in page]
    assert set(ids) <= set(whole)
    assert len(ids) == len(whole) or len(found) == 30
