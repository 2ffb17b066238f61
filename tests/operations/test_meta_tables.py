"""The tables of Facebook's and Instagram's operations, written by hand: each row finds itself, says where it is known
from, and lets nothing through that docs/facts/meta.md §4.4 names."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import scopes
from broker.errors import OperationDenied
from broker.fields import DEEPEST
from broker.operations import Operation, load

ROOT = Path(__file__).resolve().parents[2]
FACTS = (ROOT / "docs" / "facts" / "meta.md").read_text()
BASE = "/v26.0"
TABLES = {
    name: json.loads((ROOT / "broker" / "providers" / "catalog" / f"{name}.json").read_text())
    for name in ("facebook", "instagram")
}
CATALOGS = {name: load(name, BASE) for name in TABLES}
METHODS = {operation.id: operation for catalog in CATALOGS.values() for operation in catalog}
ROWS: dict[str, dict[str, Any]] = {
    f"{name}.{method}": row
    for name, table in TABLES.items()
    for method, row in {**table["methods"], **table.get("edges", {})}.items()
}
each_operation = pytest.mark.parametrize("operation", METHODS.values(), ids=METHODS)
each_row = pytest.mark.parametrize("name", ROWS)
WITH_FIELDS = [operation for operation in METHODS.values() if "fields" in operation.parameters]
IDS = {"page": "104820017650001", "post": "104_122", "media": "17900001000000300", "form": "330001"}
IDS |= {"conversation": "t_100001000", "facebook": "t_100001000", "instagram": "aWdfSandboxThread00001"}


def provider(name: str) -> str:
    return name.partition(".")[0]


def row_of(name: str, given: str) -> str:
    """The full name of the row that an edge of this row leads to."""
    return f"{provider(name)}.{given}"


def example(operation: Operation) -> dict[str, str]:
    """The least that the operation may be called with."""
    found = {}
    for name, known in operation.parameters.items():
        if known.location == "path":
            found[name] = IDS[provider(operation.id)] if name == "conversation" else IDS[name]
        elif known.required:
            found[name] = "id" if name == "fields" else sorted(known.choices or ())[0]
    return found


def admitting(**more: str) -> list[str]:
    """The operations that these parameters, beside the least ones, do not keep from being called."""
    return [operation.id for operation in METHODS.values() if not refused(operation, **more)]


def refused(operation: Operation, **more: str) -> bool:
    try:
        operation.url({**example(operation), **more})
    except OperationDenied:
        return True
    return False


# --- id, URL, scopes -------------------------------------------------------------------------------------------


@each_operation
def test_each_row_is_found_by_its_id_and_again_by_its_own_url(operation: Operation):
    catalog = CATALOGS[provider(operation.id)]
    assert catalog.operation(operation.id) is operation
    assert catalog.match("GET", operation.url(example(operation)).partition("?")[0]) is operation


@each_operation
def test_no_two_rows_of_one_host_have_the_same_shape(operation: Operation):
    """An id does not say of what it is one, so nothing else could tell them apart (§4.4, 7)."""
    shape = [segment._replace(prefix="") if segment.is_variable else segment for segment in operation.segments]
    same = [
        other.id
        for other in METHODS.values()
        if other.origin == operation.origin
        and [s._replace(prefix="") if s.is_variable else s for s in other.segments] == shape
    ]
    assert same == [operation.id]


@pytest.mark.parametrize(("base", "other"), [("/v26.0", "/v25.0"), ("/v25.0", "/v26.0"), ("", "/v26.0")])
@pytest.mark.parametrize("name", TABLES)
def test_the_version_stands_in_front_of_what_is_built_and_of_what_is_matched(name: str, base: str, other: str):
    catalog = load(name, base)
    for operation in catalog:
        url = operation.url(example(operation)).partition("?")[0]
        assert url.startswith(f"{operation.origin}{base}/")
        assert catalog.match("GET", url) is operation
        path = url.removeprefix(operation.origin + base)
        with pytest.raises(OperationDenied):
            catalog.match("GET", f"{operation.origin}{other}{path}")


@pytest.mark.parametrize(
    "base", ["v26.0", "/", "/v26.0/", "//v26.0", "/..", "/v26.0/..", "/.", "/{page}", "/v 26", "/%76"]
)
def test_a_base_that_is_no_plain_path_is_refused(base: str):
    with pytest.raises(ValueError, match="base"):
        load("facebook", base)


@each_operation
def test_rows_only_read(operation: Operation):
    assert operation.method == "GET"
    for method in ("POST", "DELETE", "PUT", "HEAD", "get"):
        with pytest.raises(OperationDenied):
            CATALOGS[provider(operation.id)].match(method, operation.url(example(operation)).partition("?")[0])


@each_row
def test_each_row_names_scope_values_of_permissions_that_the_facts_know(name: str):
    row = ROWS[name]
    values = [*row["scopes"], *(value for values in row.get("beside", {}).values() for value in values)]
    assert row["scopes"]
    assert len(scopes.alternatives(values)) == len(values)
    for permission in frozenset[str]().union(*scopes.alternatives(values)):
        assert re.search(rf"`{permission}`", FACTS), permission


@each_row
def test_each_row_says_where_it_is_known_from_and_how_well(name: str):
    page, _, section = ROWS[name]["source"].partition(" §")
    assert page == "docs/facts/meta.md"
    assert re.search(rf"^### {re.escape(section)} ", FACTS, re.MULTILINE)
    assert f"| [{ROWS[name]['confidence']}] |" in FACTS


@each_operation
def test_each_operation_carries_its_source(operation: Operation):
    row = ROWS[operation.id]
    assert operation.source == f"{row['source']} [{row['confidence']}]"


@each_row
def test_each_row_has_only_keys_that_mean_something(name: str):
    keys = {"method", "template", "token", "asset", "below", "scopes", "parameters", "most", "fields", "beside"}
    assert set(ROWS[name]) <= keys | {"source", "confidence"}
    assert set(ROWS[name].get("beside", {})) <= set(ROWS[name].get("fields", {}))


@pytest.mark.parametrize("name", TABLES)
def test_each_kind_of_a_table_is_used(name: str):
    used = {
        given
        for row in TABLES[name]["methods"].values()
        for given in row.get("parameters", {}).values()
        if isinstance(given, str)
    }
    assert used == set(TABLES[name]["kinds"])


def test_google_names_its_source_too():
    people = load("people.v1", archive="google.zip")
    assert {operation.source for operation in people} == {"google-api-python-client 2.202.0"}
    assert {operation.token for operation in people} == {"user"}


# --- whose token, which ids (§4.4, 7) --------------------------------------------------------------------------


@each_operation
def test_each_id_in_a_path_is_a_granted_asset_or_was_listed_below_one(operation: Operation):
    in_path = set(re.findall(r"\{(\w+)\}", operation.template))
    assert in_path == set(operation.below) | ({operation.asset} if operation.asset else set())
    for name in in_path:
        assert operation.parameters[name].required
        assert re.fullmatch(r"\^.*\$", operation.parameters[name].pattern or "")
    for listing in operation.below.values():
        above = METHODS[listing]
        assert above.asset or not re.findall(r"\{", above.template)
        assert above.token == operation.token


@each_operation
def test_what_lies_below_a_page_is_read_with_the_pages_token_alone(operation: Operation):
    of_page = operation.asset == "page" or any(METHODS[above].asset == "page" for above in operation.below.values())
    assert operation.is_for_asset == of_page
    assert operation.token == ("page" if of_page else "user")


@pytest.mark.parametrize(
    "value",
    [
        *("", "me", "..", "12/accounts", "12,13", "12?fields=access_token", "12%2Faccounts", "12 ", "-1", "_12"),
        *(
            "https://graph.facebook.com/12",
            "12{id}",
            "search",
            "oauth",
            "t_",
            "t_1/messages",
            "1" * 400,
            "\uff11\uff12",
        ),
        *("debug_token", "access_token", "refresh_access_token", "system_user_access_tokens", "subscribed_apps"),
    ],
)
def test_an_id_that_is_none_is_refused(value: str):
    for operation in METHODS.values():
        for name in re.findall(r"\{(\w+)\}", operation.template):
            assert refused(operation, **{name: value}), operation.id


# --- parameters (§4.4, 2 to 4 and 6) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("access_token", "appsecret_proof", "appsecret_time", "method", "ids", "id", "batch", "callback", "metadata"),
        *("debug", "suppress_http_code", "input_token", "client_secret", "client_id", "format", "pretty"),
        *("fields[]", "Fields", "field", "expand", "summary", "before", "__paging_token", "locale", "date_format"),
    ],
)
def test_no_row_takes_what_carries_credentials_verbs_batches_formats_or_callbacks(name: str):
    for value in ("1", "id", "delete", "12,13"):
        assert admitting(**{name: value}) == []


@each_operation
def test_a_page_has_at_least_one_record_and_no_more_than_the_row_says(operation: Operation):
    most = ROWS[operation.id].get("most")
    assert refused(operation, limit="1") == (most is None)
    if most:
        assert not refused(operation, limit=str(most))
        for value in ("0", str(most + 1), "-1", "all", ""):
            assert refused(operation, limit=value)


def test_a_cursor_of_the_graph_is_taken_by_each_row_that_lists_and_has_pages():
    listing = [operation.id for operation in METHODS.values() if "limit" in operation.parameters]
    assert admitting(after="QVFIUjRtc2c5NEl0ajN_-Zz=") == listing


@pytest.mark.parametrize(
    "value",
    [
        "https://graph.facebook.com/v26.0/12/posts?access_token=EAAB",
        *("//graph.facebook.com", "a&access_token=b", "a?b", "a b", "a\n", "", "\u00e9", "a" * 1025),
    ],
)
def test_a_cursor_is_never_an_address(value: str):
    """`paging.next` is not handed in again (§4.4, 6)."""
    assert admitting(after=value) == []


@pytest.mark.parametrize("name", ["facebook.page.conversations.list", "instagram.me.conversations.list"])
@pytest.mark.parametrize("value", ["", "Messenger", "whatsapp", "messenger,instagram"])
def test_an_inbox_is_of_the_one_platform_that_its_scopes_are_for(name: str, value: str):
    """The same address reads Instagram's inbox with other permissions (§4.1)."""
    other = {"facebook": "instagram", "instagram": "messenger"}[provider(name)]
    operation = METHODS[name]
    assert not refused(operation)
    assert refused(operation, platform=value)
    assert refused(operation, platform=other)
    with pytest.raises(OperationDenied):
        operation.url({"fields": "id", **({"page": "12"} if operation.asset else {})})


@pytest.mark.parametrize(
    "value", ["", "impressions", "reach,", "reach,reach", "reach, views", "reach;views", "REACH", "*"]
)
def test_metrics_are_named_one_by_one(value: str):
    for name in ("instagram.me.insights.list", "instagram.media.insights.list"):
        assert not refused(METHODS[name], metric="reach,views,likes")
        assert refused(METHODS[name], metric=value)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/me/permissions", "/me/businesses", "/me/accounts/", "/oauth/access_token", "/debug_token"),
        *("/12/owned_pages", "/12/client_pages", "/12/system_user_access_tokens", "/12/subscribed_apps", "/12/roles"),
        *(
            "/12/feed",
            "/12/tagged",
            "/12/ratings",
            "/12/assigned_users",
            "/12/accounts",
            "/12/posts/13",
            "/12/insights",
        ),
        *("/search", "/me/posts", "/me/conversations", "/12/posts?access_token=x", "/?ids=12,13", "/12,13"),
    ],
)
def test_what_hands_out_tokens_or_is_not_listed_has_no_operation_at_facebook(path: str):
    """§4.4, 3 and 5. What has the shape of a row is refused when its URL is built, for it names no Page."""
    catalog = CATALOGS["facebook"]
    try:
        found = catalog.match("GET", f"https://graph.facebook.com{BASE}{path}")
    except OperationDenied:
        return
    assert refused(found, page=path.split("/")[1])


# --- fields (§4.4, 1 and 5) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", WITH_FIELDS, ids=lambda operation: operation.id)
def test_fields_must_be_named(operation: Operation):
    """Default answers hold what nobody asked for, `/me/accounts` even Page tokens."""
    values = example(operation)
    del values["fields"]
    with pytest.raises(OperationDenied):
        operation.url(values)
    assert refused(operation, fields="")


@each_row
def test_no_row_can_name_a_token(name: str):
    listed = set(ROWS[name].get("fields", {}))
    listed |= {inner for given in ROWS[name].get("fields", {}).values() if isinstance(given, list) for inner in given}
    assert not [field for field in listed if re.search(r"token|secret|proof|password", field)]


@pytest.mark.parametrize(
    "fields",
    [
        *("access_token", "page_token", "id,access_token", "accounts", "accounts{id}", "accounts{access_token}"),
        *(
            "posts{comments{from,message}},conversations{messages}",
            "from{accounts{access_token}}",
            "from{access_token}",
        ),
        *("comments{from{access_token}}", "messages{from{conversations{id}}}", "leads{field_data,access_token}"),
        *("comments{comments{comments{from{id}}}}", "comments{replies{replies{id}}}", "instagram_business_account{id}"),
        *("business", "owner_business{id}", "business_discovery", "permissions{permission}", "metadata", "*"),
        *("id.as(access_token)", "id,name.limit(1)", "comments.limit(101){id}", "comments.order(x){id}", "comments"),
    ],
)
def test_nothing_beyond_the_row_can_be_named_however_nested(fields: str):
    assert admitting(fields=fields) == []


def test_nesting_wants_the_scopes_of_every_edge_and_field_on_the_way():
    posts, text = METHODS["facebook.page.posts.list"], "id,comments.limit(3){message,from{id},comments{id}}"
    read, both = "pages_read_engagement", "pages_read_engagement pages_read_user_content"
    assert posts.wanted({"page": "12", "fields": text}) == (frozenset({read}), frozenset({both}), frozenset({both}))
    assert posts.wanted({"page": "12", "fields": "id,message"}) == (frozenset({read}),)
    assert posts.url({"page": "12", "fields": text}).endswith(
        "/v26.0/12/posts?fields=id%2Ccomments.limit%283%29%7Bmessage%2Cfrom%7Bid%7D%2Ccomments%7Bid%7D%7D"
    )


def test_an_address_wants_its_own_scope():
    me = METHODS["facebook.me.get"]
    assert me.wanted({"fields": "id,name"}) == (frozenset({"public_profile"}),)
    assert me.wanted({"fields": "email"}) == (frozenset({"public_profile"}), frozenset({"email"}))


def test_a_refusal_of_fields_says_which_name_and_why():
    with pytest.raises(OperationDenied) as denied:
        METHODS["facebook.page.posts.list"].url({"page": "12", "fields": "id,comments{likes}"})
    assert "facebook.page.posts.list" in denied.value.detail
    assert "likes may not be named there" in denied.value.detail


def _offered(name: str, depth: int = 1) -> st.SearchStrategy[str]:
    """Lists of fields that the rows allow, nested as they allow it, written out from the JSON itself."""
    return st.lists(st.sampled_from(sorted(_choices(name, depth))), min_size=1, max_size=5, unique=True).flatmap(
        lambda chosen: st.tuples(*(_one(name, field, depth) for field in chosen)).map(",".join)
    )


def _choices(name: str, depth: int) -> Iterator[str]:
    for field, kind in ROWS[name]["fields"].items():
        if kind is True or depth < DEEPEST:
            yield field


def _one(name: str, field: str, depth: int) -> st.SearchStrategy[str]:
    given = ROWS[name]["fields"][field]
    if given is True:
        return st.just(field)
    if isinstance(given, list):
        inner = st.lists(st.sampled_from(given), min_size=1, unique=True).map(",".join)
        return inner.map(lambda names: f"{field}{{{names}}}")
    there = row_of(name, given)
    limits = st.just("") | st.integers(1, ROWS[there]["most"]).map(lambda most: f".limit({most})")
    return st.builds(lambda limit, names: f"{field}{limit}{{{names}}}", limits, _offered(there, depth + 1))


def _walked(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Another reading of a list of fields: each name with the row in which it stands."""
    standing: list[tuple[str, Any]] = [(name, ROWS[name]["fields"])]
    field = ""
    for part in re.findall(r"\.limit\(\d+\)|[a-z0-9_]+|[{},]|.", text):
        where, known = standing[-1]
        if part == "{":
            given = known[field]
            inside = (where, dict.fromkeys(given, True)) if isinstance(given, list) else (row_of(name, given), None)
            standing.append(inside if inside[1] else (inside[0], ROWS[inside[0]]["fields"]))
        elif part == "}":
            standing.pop()
        elif part != "," and not part.startswith(".limit"):
            field = part
            assert field in known, f"{field} stands in {where}"
            yield where, field


@pytest.mark.parametrize("operation", WITH_FIELDS, ids=lambda operation: operation.id)
@given(data=st.data())
def test_what_the_rows_offer_is_accepted_and_wants_what_the_rows_say(operation: Operation, data: st.DataObject):
    text = data.draw(_offered(operation.id))
    values = {**example(operation), "fields": text}
    expected = {frozenset(ROWS[operation.id]["scopes"])}
    for where, field in _walked(operation.id, text):
        expected.add(frozenset(ROWS[where]["scopes"]))
        if field in ROWS[where].get("beside", {}):
            expected.add(frozenset(ROWS[where]["beside"][field]))
    assert operation.url(values)
    assert set(operation.wanted(values)) == expected


FOREIGN = ("access_token", "page_token", "accounts", "conversations", "likes", "posts", "insights", "unknown")


@pytest.mark.parametrize("operation", WITH_FIELDS, ids=lambda operation: operation.id)
@given(data=st.data())
def test_a_name_that_no_row_lists_is_refused_wherever_it_is_put(operation: Operation, data: st.DataObject):
    text, foreign = data.draw(_offered(operation.id)), data.draw(st.sampled_from(FOREIGN))
    places = [at for at in range(len(text) + 1) if at == 0 or text[at - 1] in "{,"]
    at = data.draw(st.sampled_from(places))
    braces = data.draw(st.sampled_from(["", "{id}", "{access_token}", ".limit(1){id}"]))
    assert refused(operation, fields=f"{text[:at]}{foreign}{braces},{text[at:]}".rstrip(","))


@pytest.mark.parametrize("operation", WITH_FIELDS, ids=lambda operation: operation.id)
@given(data=st.data())
def test_whatever_is_accepted_names_only_what_the_rows_list_where_it_stands(operation: Operation, data: st.DataObject):
    """Texts made of the right words in any order: what comes through is read a second time, in another way."""
    known = [
        field for name in ROWS if provider(name) == provider(operation.id) for field in ROWS[name].get("fields", {})
    ]
    parts = st.sampled_from([*dict.fromkeys(known), "access_token", "{", "}", ",", "{", "}", ",", ".limit(2)", "{id}"])
    text = "".join(data.draw(st.lists(parts, max_size=12))) or "id"
    if not refused(operation, fields=text):
        assert list(_walked(operation.id, text))


# --- the connectors of the contract ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "granted"),
    [
        ("facebook.me.get", "public_profile"),
        ("facebook.page.posts.list", "pages_read_engagement"),
        (
            "facebook.form.leads.list",
            "leads_retrieval pages_manage_ads pages_read_engagement pages_show_list",
        ),
        ("facebook.conversation.messages.list", "pages_messaging pages_manage_metadata pages_read_engagement"),
        ("facebook.post.comments.list", "pages_read_user_content pages_read_engagement"),
        ("instagram.me.get", "instagram_business_basic"),
        ("instagram.me.media.list", "instagram_business_basic"),
        ("instagram.media.comments.list", "instagram_business_basic instagram_business_manage_comments"),
        ("instagram.me.conversations.list", "instagram_business_basic instagram_business_manage_messages"),
        ("instagram.me.insights.list", "instagram_business_basic instagram_business_manage_insights"),
    ],
)
def test_each_kind_of_data_that_a_connector_reads_is_opened_by_exactly_these_permissions(name: str, granted: str):
    """§4.1 and §4.3: with any one of them missing it stays closed."""
    held = frozenset(granted.split())
    operation = METHODS[name]
    wanted = operation.wanted(example(operation))
    assert all(scopes.opens(values, held) for values in wanted)
    for permission in held:
        assert not all(scopes.opens(values, held - {permission}) for values in wanted)


def test_the_example_in_the_documentation_is_the_row():
    page = (ROOT / "docs" / "operations.md").read_text()
    shown: Mapping[str, Any] = json.loads("{" + page.split("```json\n")[1].split("```")[0] + "}")
    for name, row in shown.items():
        real = TABLES["facebook"]["methods"][name]
        assert {key: row[key] for key in row if key not in ("fields", "parameters")} == {
            key: real[key] for key in real if key not in ("fields", "parameters")
        }
        assert row["fields"].items() <= real["fields"].items()
        assert row["parameters"].items() <= real["parameters"].items()
