"""The bypass catalogue (docs/facts/security.md §6) at the relay: each way is refused and nothing goes out, or exactly
the bytes go out that the broker itself would send."""

from collections.abc import Callable

from tests.house import House
from tests.relay.conftest import PEOPLE, Relay

LIST = f"{PEOPLE}/v1/people/me/connections"
SENT = (
    "GET /v1/people/me/connections?personFields=emailAddresses%2Cmetadata%2Cnames%2Corganizations%2CphoneNumbers"
    "&sources=READ_SOURCE_TYPE_CONTACT&pageSize=100&requestSyncToken=true HTTP/1.1"
)
REFUSALS = ("operation_denied", "invalid_request", "not_found", "method_not_allowed")

PATHS = {
    "INP-01 dot segments": f"{PEOPLE}/v1/people/me/../me/connections",
    "INP-01 one dot": f"{PEOPLE}/v1/people/me/./connections",
    "INP-01 dots out of the prefix": f"{PEOPLE}/../records/google_contacts",
    "INP-01 encoded dots": f"{PEOPLE}/v1/people/me/%2e%2e/me/connections",
    "INP-01 half encoded dots": f"{PEOPLE}/v1/people/me/%2E./me/connections",
    "INP-01 dots with a parameter": f"{PEOPLE}/v1/people/me/..;/me/connections",
    "INP-01 a parameter of a segment": f"{PEOPLE}/v1/people/me;x=1/connections",
    "INP-01 an encoded parameter": f"{PEOPLE}/v1/people/me%3Bx=1/connections",
    "INP-01 encoded slash": f"{PEOPLE}/v1/people%2Fme/connections",
    "INP-01 encoded backslash": f"{PEOPLE}/v1/people/me%5c..%5cme/connections",
    "INP-01 backslash": f"{PEOPLE}/v1/people/me\\..\\me/connections",
    "INP-02 doubly encoded dots": f"{PEOPLE}/v1/people/me/%252e%252e/me/connections",
    "INP-02 triply encoded dots": f"{PEOPLE}/v1/people/me/%25252e%25252e/me/connections",
    "INP-02 doubly encoded slash": f"{PEOPLE}/v1/people%252Fme/connections",
    "INP-02 encoded percent": f"{PEOPLE}/v1/people/m%25e/connections",
    "INP-03 overlong dots": f"{PEOPLE}/v1/people/me/%c0%ae%c0%ae/me/connections",
    "INP-03 full-width dots": f"{PEOPLE}/v1/people/me/%ef%bc%8e%ef%bc%8e/me/connections",
    "INP-03 homoglyph": f"{PEOPLE}/v1/people/%ef%bd%8d%ef%bd%85/connections",
    "INP-03 zero-width": f"{PEOPLE}/v1/people/me%e2%80%8b/connections",
    "INP-03 right to left": f"{PEOPLE}/v1/people/%e2%80%aeme/connections",
    "INP-04 NUL": f"{PEOPLE}/v1/people/me%00/connections",
    "INP-04 line feed": f"{PEOPLE}/v1/people/me%0a/connections",
    "INP-04 CRLF and a header": f"{PEOPLE}/v1/people/me%0d%0aX-Evil:%201/connections",
    "INP-04 tab": f"{PEOPLE}/v1/people/me%09/connections",
    "INP-04 DEL": f"{PEOPLE}/v1/people/me%7f/connections",
    "INP-05 empty segment": f"{PEOPLE}/v1//people/me/connections",
    "INP-05 empty segment at the host": f"{PEOPLE}//v1/people/me/connections",
    "INP-05 trailing slash": f"{PEOPLE}/v1/people/me/connections/",
    "INP-06 absolute address": f"https://{LIST}",
    "INP-06 absolute address, encoded": f"https%3A%2F%2F{LIST}",
    "INP-07 other host": "evil.example/v1/people/me/connections",
    "INP-07 another API's host": "gmail.googleapis.com/gmail/v1/users/me/messages",
    "INP-07 host with a tail": f"{PEOPLE}.evil.example/v1/people/me/connections",
    "INP-07 host with a dot": f"{PEOPLE}./v1/people/me/connections",
    "INP-07 host with a port": f"{PEOPLE}:443/v1/people/me/connections",
    "INP-07 userinfo": f"x@{PEOPLE}/v1/people/me/connections",
    "INP-07 userinfo that looks like the host": f"{PEOPLE}@evil.example/v1/people/me/connections",
    "INP-07 an address of the machine": "127.0.0.1/v1/people/me/connections",
    "INP-07 an address in decimals": "2130706433/v1/people/me/connections",
    "INP-07 IPv6": "[::1]/v1/people/me/connections",
    "INP-08 no version": f"{PEOPLE}/people/me/connections",
    "INP-08 doubled version": f"{PEOPLE}/v1/v1/people/me/connections",
    "INP-08 other version": f"{PEOPLE}/v1beta1/people/me/connections",
    "INP-09 somebody else": f"{PEOPLE}/v1/people/c123/connections",
    "INP-09 an alias": f"{PEOPLE}/v1/people/self/connections",
    "INP-10 case of the path": f"{PEOPLE}/v1/People/me/connections",
    "INP-10 case of the host": "People.googleapis.com/v1/people/me/connections",
    "INP-24 batch": f"{PEOPLE}/batch",
    "INP-24 batch of an API": f"{PEOPLE}/batch/people/v1",
    "INP-25 upload": f"{PEOPLE}/upload/v1/people/me/connections",
    "INP-25 resumable": f"{PEOPLE}/resumable/upload/v1/people/me/connections",
    "INP-25 media": f"{PEOPLE}/v1/media/people/me/connections",
    "INP-34 userinfo": "openidconnect.googleapis.com/v1/userinfo",
    "INP-34 tokeninfo": "www.googleapis.com/oauth2/v3/tokeninfo",
    "INP-34 revocation": "oauth2.googleapis.com/revoke",
    "a fragment": f"{LIST}#x",
    "a verb": f"{LIST}:batchGet",
    "another operation of the same API": f"{PEOPLE}/v1/contactGroups",
    "only the host": PEOPLE,
    "nothing": "",
}
QUERIES = {
    "INP-20 a token": "access_token=ya29.foreign",
    "INP-20 a token, otherwise called": "oauth_token=ya29.foreign",
    "INP-20 an API key": "key=AIzaForeign",
    "INP-20 a key in its other form": "%24key=AIzaForeign",
    "INP-20 a secret": "client_secret=x",
    "INP-21 method": "method=DELETE",
    "INP-21 another word for it": "_method=delete",
    "INP-22 override as a parameter": "X-HTTP-Method-Override=DELETE",
    "INP-25 upload type": "uploadType=media",
    "INP-25 upload protocol": "upload_protocol=raw",
    "INP-26 media": "alt=media",
    "INP-26 alt in its other form": "%24alt=json",
    "INP-26 alt twice": "alt=json&alt=media",
    "INP-26 alt in other case": "ALT=json",
    "INP-26 JSONP": "callback=x",
    "INP-26 partial answer": "fields=connections(names,biographies)",
    "INP-26 all of it": "fields=*",
    "INP-26 encoded name of partial answer": "%24fields=*",
    "INP-26 quota": "quotaUser=x",
    "INP-26 user's address": "userIp=1.2.3.4",
    "INP-26 its error form": "%24.xgafv=1",
    "INP-26 pretty": "prettyPrint=true",
    "INP-27 twice": "pageSize=1&pageSize=1000",
    "INP-27 mask twice": "personFields=names&personFields=biographies",
    "INP-27 brackets": "personFields[]=biographies",
    "INP-27 numbered brackets": "personFields%5B0%5D=biographies",
    "INP-27 other case": "personfields=biographies",
    "INP-27 empty name": "=1",
    "INP-27 empty part": "pageSize=1&",
    "INP-27 only a mark": "&",
    "INP-27 no value": "pageSize",
    "INP-27 semicolon": "pageSize=1;personFields=biographies",
    "INP-27 semicolon in a text": "pageToken=a;personFields=biographies",
    "INP-27 many": "&".join(f"p{n}=1" for n in range(60)),
    "INP-27 an encoded mark in the name": "pageSize%26personFields=biographies",
    "INP-28 unknown": "debug=all",
    "INP-33 several ids": "ids=1,2",
    "INP-03 full-width name": "%ef%bd%90ageSize=1",
    "INP-03 no UTF-8": "pageToken=%ff",
    "INP-04 line feed": "pageToken=a%0ab",
    "INP-04 NUL": "pageToken=%00",
    "INP-04 half an escape": "pageToken=%4",
    "a field beyond the grant": "personFields=names,biographies",
    "a field beyond the grant, encoded": "personFields=%62iographies",
    "a field below one": "personFields=names.displayName",
    "every field": "personFields=*",
    "no field": "personFields=",
    "a field twice": "personFields=names,names",
    "a blank in the fields": "personFields=names,%20biographies",
    "other source": "sources=READ_SOURCE_TYPE_PROFILE",
    "one more source": "sources=READ_SOURCE_TYPE_CONTACT&sources=READ_SOURCE_TYPE_PROFILE",
    "the old mask": "requestMask.includeField=person.biographies",
    "a parameter of the path": "resourceName=people/c1",
    "an order that tells of changes": "sortOrder=LAST_MODIFIED_ASCENDING",
    "encoded name": "page%53ize=1",
    "a second question mark": "?pageSize=1",
}
OVERRIDES = {
    "X-HTTP-Method-Override": "DELETE",
    "X-HTTP-Method": "DELETE",
    "X-Method-Override": "PATCH",
}
SMUGGLED = {
    "X-Goog-User-Project": "evil",
    "X-Goog-Api-Key": "AIzaForeign",
    "X-Goog-FieldMask": "*",
    "X-Forwarded-Host": "evil.example",
    "X-Original-URL": "/v1/people/c1",
    "X-Rewrite-URL": "/v1/people/c1",
    "Base-Url-Override": "https://evil.example",
    "Cookie": "session=1",
    "Proxy-Authorization": "Bearer ya29.foreign",
    "X-Authorization": "Bearer ya29.foreign",
    "Connection": "keep-alive, Authorization",
    "Accept": "text/html",
    "Accept-Language": "id",
    "Range": "bytes=0-10",
    "If-None-Match": "*",
    "Expect": "x",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def passed(relay: Relay, targets: dict[str, str]) -> dict[str, str]:
    """Those that were not refused, or sent something out, and how it ended. Nothing should be left."""
    return {
        name: f"{answer.status} {answer.text[:200]} {relay.lines()}"
        for name, target in targets.items()
        if (answer := relay.get(target)).status == 200 or answer.code not in REFUSALS or relay.lines()
    }


def test_a_path_that_is_not_plainly_a_declared_operations_is_refused(contacts: Relay) -> None:
    assert passed(contacts, PATHS) == {}


def test_a_query_that_is_not_plainly_admitted_is_refused(contacts: Relay) -> None:
    assert passed(contacts, {name: f"{LIST}?{query}" for name, query in QUERIES.items()}) == {}


def test_another_method_in_a_header_is_refused(contacts: Relay) -> None:
    for name, method in OVERRIDES.items():
        contacts.refused(LIST, **{name: method})


def test_no_header_of_the_callers_changes_a_byte_of_what_goes_out(contacts: Relay) -> None:
    plain = _sent(contacts)
    assert {name for name, value in SMUGGLED.items() if _sent(contacts, **{name: value}) != plain} == set()


def _sent(relay: Relay, **headers: str) -> list[list[str]]:
    assert relay.get(LIST, **headers).status == 200
    return relay.tap.requests()


def test_exactly_these_bytes_go_out(contacts: Relay, house_of_google: House) -> None:
    ((line, *headers),) = _sent(contacts)
    assert line == SENT
    names = [header.partition(":")[0].lower() for header in headers]
    assert sorted(names) == ["accept-encoding", "authorization", "host", "user-agent"]
    assert contacts.app.bearer not in "".join(headers)


def test_what_a_library_adds_is_dropped_and_what_is_sent_anyway_may_be_said(contacts: Relay) -> None:
    contacts.ask(f"{LIST}?alt=json&sources=READ_SOURCE_TYPE_CONTACT")
    assert contacts.lines() == [SENT]


def test_one_encoding_of_a_plain_letter_is_the_letter(contacts: Relay) -> None:
    contacts.ask(f"{PEOPLE}/v1/people/%6de/connections?personFields=n%61mes")
    (line,) = contacts.lines()
    assert line.startswith("GET /v1/people/me/connections?personFields=names&sources=")


def test_no_other_method_reaches_the_provider(contacts: Relay) -> None:
    for method in ("PUT", "PATCH", "DELETE", "HEAD", "TRACE", "BREW"):
        assert (contacts.send(method, LIST).status, contacts.lines()) == (405, []), method
    contacts.send("OPTIONS", LIST)
    assert contacts.lines() == []


def test_a_reading_by_get_is_not_served_by_post(contacts: Relay) -> None:
    answer = contacts.send("POST", LIST, body=b"{}", headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code, answer.headers["Allow"], contacts.lines()) == (
        405,
        "method_not_allowed",
        "GET",
        [],
    )


def test_a_get_with_a_body_is_refused(contacts: Relay) -> None:
    answer = contacts.send("GET", LIST, body=b'{"personFields":"biographies"}')
    assert (answer.status, contacts.lines()) == (400, [])


def test_the_relays_own_part_of_the_path_is_written_plainly(contacts: Relay) -> None:
    for plain, written in (("/relay/", "/rela%79/"), ("google_", "google%5F"), ("con_", "%63on_")):
        answer = contacts.at(contacts.base.replace(plain, written, 1) + LIST)
        assert (answer.status, contacts.lines()) == (403, []), written


def test_an_absolute_request_target_is_refused(contacts: Relay) -> None:
    answer = contacts.at(contacts.app.url + contacts.base + LIST)
    assert (answer.status, contacts.lines()) == (400, [])


def test_a_token_of_the_providers_is_no_token_of_the_brokers(contacts: Relay) -> None:
    contacts.refused(LIST, "unauthorized", Authorization="Bearer ya29.foreign")


def test_a_client_without_the_scope_is_refused(at_google: Callable[..., Relay], house_of_google: House) -> None:
    relay = at_google("google_contacts")
    relay.app = house_of_google.client("records:read", "connections:read")
    relay.refused(LIST, "forbidden")


def test_a_connector_that_was_not_granted_is_refused(contacts: Relay) -> None:
    contacts.connector = "google_calendar"
    contacts.refused("www.googleapis.com/calendar/v3/calendars/primary/events", "not_granted")


def test_an_operation_that_the_connector_does_not_declare_is_refused_though_its_scope_is_there(
    at_google: Callable[..., Relay],
) -> None:
    relay = at_google("google_calendar")
    event = relay.ask("www.googleapis.com/calendar/v3/calendars/primary/events?maxResults=1")["items"][0]["id"]
    relay.refused(f"www.googleapis.com/calendar/v3/calendars/primary/events/{event}")
    relay.refused("www.googleapis.com/calendar/v3/calendars/primary")
    relay.refused("www.googleapis.com/calendar/v3/users/me/settings")


def test_another_connectors_operation_is_refused_though_that_is_granted_too(
    at_google: Callable[..., Relay], house_of_google: House
) -> None:
    relay = at_google("google_contacts")
    both = ("google_contacts", "google_other_contacts")
    relay.connection = relay.app.connect(*both, connection=relay.connection["id"])
    assert {grant["connector"] for grant in relay.connection["grants"]} == set(both)
    relay.refused(f"{PEOPLE}/v1/otherContacts")
    relay.connector = "google_other_contacts"
    assert relay.ask(f"{PEOPLE}/v1/otherContacts?pageSize=1")["otherContacts"]
    relay.refused(LIST)
