"""Whatever is asked of the relay: what goes out is a declared operation with nothing but what was granted, and what a
provider answers is passed on by the form or not at all."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.providers import facebook, google, instagram
from broker.providers.data.relayed import Form, Kept, Passing
from broker.providers.resource import Place, Resource
from broker.relay.prepared import FORMS
from tests.processes import Installation, started
from tests.records.raw import disturbed, json_values
from tests.records.wiretap import Wiretap
from tests.relay.conftest import PEOPLE, RELAY, Relay

LIST = f"{PEOPLE}/v1/people/me/connections"
PIECES = [
    *(
        "people.googleapis.com",
        "www.googleapis.com",
        "/",
        "/",
        "v1",
        "people",
        "me",
        "connections",
        "c1",
        "otherContacts",
    ),
    *(
        "..",
        ".",
        "%2e%2e",
        "%2f",
        "%2F",
        "%5c",
        "%25",
        "%252e",
        "%00",
        "%0d%0aX:1",
        "%c0%ae",
        "%ef%bc%8e",
        ";x=1",
        "@",
        ":443",
    ),
    *("?", "&", "=", ";", "#", "%26", "%3d", "+", ",", "*", "{", "}", "[", "]", "$", "~", "%6d", "%6De"),
    *("personFields", "names", "biographies", "pageSize", "1", "pageToken", "sources", "READ_SOURCE_TYPE_PROFILE"),
    *(
        "READ_SOURCE_TYPE_CONTACT",
        "alt",
        "json",
        "media",
        "access_token",
        "fields",
        "method",
        "DELETE",
        "batch",
        "syncToken",
    ),
]
GRANTED = {"metadata", "names", "emailAddresses", "phoneNumbers", "organizations"}
PARAMETERS = {
    "personFields": lambda value: set(value.split(",")) <= GRANTED,
    "sources": lambda value: value == "READ_SOURCE_TYPE_CONTACT",
    "requestSyncToken": lambda value: value in ("true", "false"),
    "sortOrder": lambda value: value in ("FIRST_NAME_ASCENDING", "LAST_NAME_ASCENDING"),
    **dict.fromkeys(("pageSize", "pageToken", "syncToken"), bool),
}


@st.composite
def targets(draw: st.DrawFn) -> str:
    """A proper target in which some pieces were put in, taken out or exchanged; or nothing but pieces."""
    pieces = st.sampled_from(PIECES)
    if draw(st.booleans()):
        return "".join(draw(st.lists(pieces, max_size=14)))
    whole = re.split(r"(?<=[/?&=,])|(?=[/?&=,])", f"{LIST}?personFields=names,emailAddresses&pageSize=2&alt=json")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(whole)))
        whole[at : at + draw(st.integers(0, 1))] = draw(st.lists(pieces, max_size=2))
    return "".join(whole)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=targets())
def test_whatever_is_asked_what_goes_out_is_the_declared_operation_within_the_grant(
    contacts: Relay, target: str
) -> None:
    answer = contacts.get(target)
    for line in contacts.lines():
        url = urlsplit(line.split(" ")[1])
        assert (line.split(" ")[0], url.path) == ("GET", "/v1/people/me/connections")
        query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
        assert {name for name, _ in query} >= {"personFields", "sources"}
        assert len({name for name, _ in query}) == len(query)
        assert all(PARAMETERS[name](value) for name, value in query), line
    assert contacts.lines() or answer.status != 200
    assert answer.status < 500


# --- forms ---------------------------------------------------------------------------------------------------

LEAK = {"access_token": "LEAKED", "leak": ["LEAKED"], "biographies": "LEAKED", "next": "https://x/?access_token=LEAKED"}
"""Members that nobody asked for, laid into every object of an answer that a form takes apart."""
RESOURCES: list[Resource] = [
    resource
    for provider in (google.PROVIDER, facebook.PROVIDER, instagram.PROVIDER)
    for resource in provider.resources.values()
]
SERVED = [(name, resource) for resource in RESOURCES for name in resource.operations]


def passing(name: str, resource: Resource) -> Passing:
    """As the relay makes it, for all fields."""
    fields = frozenset(resource.fields)
    place = Place(
        within="1", began="2026-11-02T00:00:00Z", limit=100, page=FORMS[name].at.page, changes=FORMS[name].at.changes
    )
    values = resource.parameters(sorted(fields), "1", place, 100)

    def keep(raw: object) -> Kept | None:
        if (
            not isinstance(raw, Mapping)
            or not isinstance(raw.get(resource.identity), str)
            or not raw[resource.identity]
        ):
            return None
        return resource.passed_on(raw, fields, frozenset())

    body = {"metrics": [{"name": "sessions"}], "dimensions": [{"name": "date"}]}
    return Passing(resource, fields, values, body, keep, lambda changed: f"relay:{json.dumps(dict(changed))}")


def specimen(name: str, resource: Resource) -> dict[str, Any]:
    """An answer of the provider as this operation gives it, with what nobody asked for in every object."""
    record = {resource.identity: "1", **dict.fromkeys(resource.fields, "told"), **LEAK}
    form: Form = FORMS[name]
    if name.startswith(("facebook", "instagram")):
        nested = {"data": [{"id": "1", "message": "told", "text": "told", **LEAK}], **LEAK}
        record |= {
            "from": {"id": "1", **LEAK},
            "to": {"data": [{"id": "1", **LEAK}]},
            "replies": nested,
            "messages": nested,
        }
        record |= {"parent": {"id": "1", **LEAK}}
        return {**record, "data": [record], "paging": {"next": "x", "cursors": {"after": "a"}, **LEAK}, **LEAK}
    if form.records is not None:
        return {form.records: [record], "nextPageToken": "p", **LEAK}
    return {**record, **ANSWERS.get(name, {})}


ANSWERS: dict[str, dict[str, Any]] = {
    "gmail.users.getProfile": {"historyId": "1", "emailAddress": "LEAKED"},
    "gmail.users.history.list": {
        "history": [{"id": "1", "messagesAdded": [{"message": {"id": "1", **LEAK}, **LEAK}], **LEAK}]
    },
    "sheets.spreadsheets.values.batchGet": {
        "valueRanges": [{"range": "LEAKED!A1:B2", "values": [["told", {"leak": "LEAKED"}]], **LEAK}]
    },
    "analyticsadmin.accountSummaries.list": {
        "accountSummaries": [{"propertySummaries": [{"property": "1", "displayName": "told", **LEAK}], **LEAK}]
    },
    "analyticsdata.properties.runReport": {
        "dimensionHeaders": [{"name": "date", **LEAK}],
        "metricHeaders": [{"name": "sessions", **LEAK}],
        "rows": [{"dimensionValues": [{"value": "1", **LEAK}], "metricValues": [{"value": "2", **LEAK}], **LEAK}],
        "metadata": {"currencyCode": "IDR", **LEAK},
        "totals": [LEAK],
    },
    "businessprofileperformance.locations.fetchMultiDailyMetricsTimeSeries": {
        "multiDailyMetricTimeSeries": [
            {
                "dailyMetricTimeSeries": [
                    {
                        "dailyMetric": "CALL_CLICKS",
                        "timeSeries": {"datedValues": [{"date": {"year": 2026, **LEAK}, "value": "1", **LEAK}], **LEAK},
                        **LEAK,
                    },
                    {"dailyMetric": "LEAKED"},
                ],
                **LEAK,
            }
        ]
    },
}


@pytest.mark.parametrize(
    ("name", "resource"), SERVED, ids=lambda value: value if isinstance(value, str) else value.name
)
def test_no_form_passes_on_what_nobody_asked_for(name: str, resource: Resource) -> None:
    told = FORMS[name].answer(specimen(name, resource), passing(name, resource))
    assert told
    assert "LEAKED" not in json.dumps(told)


@pytest.mark.parametrize(
    ("name", "resource"), SERVED, ids=lambda value: value if isinstance(value, str) else value.name
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_a_provider_answers_a_form_takes_it_or_says_that_it_is_malformed(
    name: str, resource: Resource, data: st.DataObject
) -> None:
    answer = data.draw(disturbed(specimen(name, resource)) | json_values)
    if not isinstance(answer, dict):
        return
    try:
        told = json.dumps(FORMS[name].answer(answer, passing(name, resource)))
    except ValueError:
        return
    assert "access_token" not in told


# --- under gunicorn ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("relayed")
    (folder / "broker.db").write_bytes(_migrated_file.read_bytes())
    with started(folder, f"sqlite:///{folder / 'broker.db'}") as installation:
        yield installation


def test_the_real_server_hands_on_the_target_as_it_came(served: Installation) -> None:
    app = served.client(*RELAY)
    relay = Relay(app, app.connect("google_contacts"), "google_contacts", Wiretap(""))
    assert len(relay.ask(f"{LIST}?pageSize=3")["connections"]) == 3
    for target in (
        "v1/people/me/../me/connections",
        "v1/people/me/%2e%2e/me/connections",
        "v1/people%2Fme/connections",
    ):
        assert relay.get(f"{PEOPLE}/{target}").code in ("operation_denied", "invalid_request")
    assert relay.get(f"{PEOPLE}/v1/people/%6de/connections").status == 200
