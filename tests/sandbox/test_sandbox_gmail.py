"""Gmail: lists, messages in each format, history, scopes. docs/facts/google.md §4.6.1, §5.4."""

import base64
from typing import Any

import pytest
import requests

from tests.sandbox.google_client import ANI, BUDI, CONTACTS, Client, reason

ROOT = "/gmail/v1/users/me"
NEWEST = "19a0000000000400"
SECRET = "SECRET-TEXT"


@pytest.fixture
def headers_only(google: Client) -> str:
    return google.token_for("gmail.metadata")


@pytest.fixture
def whole(google: Client) -> str:
    return google.token_for("gmail.readonly")


def _ids(google: Client, token: str, **query: Any) -> list[str]:
    found, page = [], {"nextPageToken": None}
    while "nextPageToken" in page:
        page = google.get(f"{ROOT}/messages", token, pageToken=page["nextPageToken"], **query).json()
        found += [message["id"] for message in page.get("messages", [])]
    return found


def _message(google: Client, token: str, message_id: str = NEWEST, **query: Any) -> dict[str, Any]:
    answer = google.get(f"{ROOT}/messages/{message_id}", token, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _place(google: Client, token: str) -> str:
    return google.get(f"{ROOT}/profile", token).json()["historyId"]


def _history(google: Client, token: str, since: str, **query: Any) -> dict[str, Any]:
    answer = google.get(f"{ROOT}/history", token, startHistoryId=since, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _change(google: Client, message: dict[str, Any], **more: Any) -> str:
    answer = google.control("mails", {"account": ANI, "message": message, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def test_the_profile_tells_the_place_from_which_to_follow(google: Client, headers_only: str) -> None:
    profile = google.get(f"{ROOT}/profile", headers_only).json()
    assert (profile["emailAddress"], profile["messagesTotal"], profile["threadsTotal"]) == ("ani@example.com", 400, 300)
    assert profile["historyId"].isdecimal()


@pytest.mark.parametrize(("account", "mails"), [(BUDI, 12), ("117000000000000000042", 30)])
def test_each_account_has_mail_of_its_own(google: Client, account: str, mails: int) -> None:
    token = google.token_for("gmail.metadata", account=account)
    assert len(_ids(google, token)) == mails


def test_messages_come_in_pages_the_newest_first_and_each_once(google: Client, headers_only: str) -> None:
    first = google.get(f"{ROOT}/messages", headers_only).json()
    assert (len(first["messages"]), first["messages"][0]) == (100, {"id": NEWEST, "threadId": "19a0000000000399"})
    ids = _ids(google, headers_only)
    assert len(ids) == 400
    assert ids == sorted(set(ids), reverse=True)


def test_a_list_holds_ids_alone_and_at_most_five_hundred(google: Client, headers_only: str) -> None:
    google.control("accounts", {"email": "ani@example.com", "mails": 600})
    messages = google.get(f"{ROOT}/messages", headers_only, maxResults=1000).json()["messages"]
    assert len(messages) == 500
    assert {name for message in messages for name in message} == {"id", "threadId"}


def test_a_message_must_have_every_label_asked_for(google: Client, headers_only: str) -> None:
    unread = _ids(google, headers_only, labelIds=["INBOX", "UNREAD"])
    assert unread
    assert set(unread) < set(_ids(google, headers_only, labelIds="INBOX"))
    held = [_message(google, headers_only, one, format="minimal")["labelIds"] for one in unread[:5]]
    assert all({"INBOX", "UNREAD"} <= set(labels) for labels in held)


def test_an_empty_list_has_no_messages_key(google: Client, headers_only: str) -> None:
    answer = google.get(f"{ROOT}/messages", headers_only, labelIds="Label_404").json()
    assert answer == {"resultSizeEstimate": 0}


def test_spam_and_trash_show_only_when_asked_for(google: Client, headers_only: str) -> None:
    spam = _change(google, {"labelIds": ["SPAM"]})
    assert spam not in _ids(google, headers_only)
    assert spam in _ids(google, headers_only, includeSpamTrash="true")
    assert _ids(google, headers_only, labelIds="SPAM") == [spam]


@pytest.mark.parametrize("query", ["", "from:somebody"])
def test_headers_only_refuses_a_query_even_an_empty_one(google: Client, headers_only: str, query: str) -> None:
    """Rules G1, G4."""
    answer = google.get(f"{ROOT}/messages", headers_only, q=query)
    error = answer.json()["error"]
    assert (answer.status_code, error["message"]) == (403, "Metadata scope does not support 'q' parameter")
    assert (error["status"], reason(answer), "details" in error) == ("PERMISSION_DENIED", "forbidden", False)


def test_a_wider_scope_may_query(google: Client, whole: str) -> None:
    _change(google, {"subject": "About the harvest"})
    assert len(_ids(google, whole, q="HARVEST")) == 1


@pytest.mark.parametrize(("query", "told"), [({}, "FULL"), ({"format": "full"}, "FULL"), ({"format": "RAW"}, "RAW")])
def test_headers_only_refuses_whole_messages_and_they_are_the_default(
    google: Client, headers_only: str, query: dict[str, str], told: str
) -> None:
    """Rules G2, G4."""
    answer = google.get(f"{ROOT}/messages/{NEWEST}", headers_only, **query)
    assert (answer.status_code, reason(answer)) == (403, "forbidden")
    assert answer.json()["error"]["message"] == f"Metadata scope doesn't allow format {told}"


@pytest.mark.parametrize("wider", ["gmail.readonly", "gmail.modify", "https://mail.google.com/"])
def test_headers_only_taints_a_wider_scope(google: Client, wider: str) -> None:
    """Rule G3."""
    both = google.token_for("gmail.metadata", wider)
    assert google.get(f"{ROOT}/messages/{NEWEST}", both).status_code == 403
    assert google.get(f"{ROOT}/messages", both, q="order").status_code == 403
    assert "snippet" not in _message(google, both, format="metadata")
    alone = google.token_for(wider)
    assert google.get(f"{ROOT}/messages/{NEWEST}", alone).status_code == 200


def test_metadata_has_headers_and_nothing_of_the_text(google: Client, headers_only: str) -> None:
    """Rule G5."""
    answer = google.get(f"{ROOT}/messages/{NEWEST}", headers_only, format="metadata")
    message = answer.json()
    assert set(message) == {"id", "threadId", "labelIds", "historyId", "internalDate", "sizeEstimate", "payload"}
    assert set(message["payload"]) == {"partId", "headers"}
    assert len(message["payload"]["headers"]) > 25
    assert SECRET not in answer.text


def test_only_the_headers_asked_for_come_in_whatever_case(google: Client, headers_only: str) -> None:
    message = _message(google, headers_only, format="metadata", metadataHeaders=["FROM", "to", "Subject", "X-None"])
    headers = {header["name"]: header["value"] for header in message["payload"]["headers"]}
    assert set(headers) == {"From", "To", "Subject"}
    assert headers["To"] == "Ani Wijaya <ani@example.com>"


def test_a_reply_names_what_it_answers(google: Client, headers_only: str) -> None:
    names = ["Message-ID", "In-Reply-To"]
    headers = _message(google, headers_only, format="metadata", metadataHeaders=names)["payload"]["headers"]
    assert [header["value"] for header in headers] == [
        f"<{NEWEST}@mail.example.org>",
        "<19a0000000000399@mail.example.org>",
    ]


def test_minimal_is_id_and_labels(google: Client, headers_only: str) -> None:
    """Rule G6."""
    assert set(_message(google, headers_only, format="minimal")) == {"id", "threadId", "labelIds"}


def test_whole_messages_have_a_text_in_parts_or_raw(google: Client, whole: str) -> None:
    payload = _message(google, whole)["payload"]
    assert [part["mimeType"] for part in payload["parts"]] == ["text/plain", "text/html"]
    text = base64.urlsafe_b64decode(payload["parts"][0]["body"]["data"]).decode()
    raw = base64.urlsafe_b64decode(_message(google, whole, format="raw")["raw"]).decode()
    assert text.startswith(SECRET)
    assert text in raw
    assert "\r\nSubject: Re: Order 399\r\n" in raw


def test_nothing_changed_has_no_history_key(google: Client, headers_only: str) -> None:
    place = _place(google, headers_only)
    assert _history(google, headers_only, place) == {"historyId": place}


def test_history_tells_what_arrived_was_deleted_or_relabelled(google: Client, headers_only: str) -> None:
    place = _place(google, headers_only)
    arrived = _change(google, {"subject": "New"})
    _change(google, {"id": NEWEST, "labelIds": ["INBOX", "STARRED"]})
    _change(google, {"id": "19a0000000000002"}, delete=True)
    answer = _history(google, headers_only, place)
    changes = [set(record) - {"id", "messages"} for record in answer["history"]]
    assert changes == [{"messagesAdded"}, {"labelsAdded"}, {"messagesDeleted"}]
    added, labelled, deleted = answer["history"]
    assert added["messagesAdded"][0]["message"] == {"id": arrived, "threadId": arrived, "labelIds": ["INBOX", "UNREAD"]}
    assert labelled["labelsAdded"][0]["labelIds"] == ["STARRED"]
    assert deleted["messagesDeleted"][0]["message"]["id"] == "19a0000000000002"
    assert answer["historyId"] == _place(google, headers_only) == deleted["id"]
    assert _history(google, headers_only, answer["historyId"]) == {"historyId": answer["historyId"]}


def test_history_of_one_kind_or_label(google: Client, headers_only: str) -> None:
    place = _place(google, headers_only)
    arrived = _change(google, {"labelIds": ["SENT"]})
    _change(google, {"id": NEWEST}, delete=True)
    added = _history(google, headers_only, place, historyTypes="messageAdded")["history"]
    assert [record["messages"][0]["id"] for record in added] == [arrived]
    inbox = _history(google, headers_only, place, labelId="INBOX")["history"]
    assert [record["messages"][0]["id"] for record in inbox] == [NEWEST]


def test_history_comes_in_pages(google: Client, headers_only: str) -> None:
    place = _place(google, headers_only)
    google.control("accounts", {"email": "ani@example.com", "mails": 405})
    found, page = [], {"nextPageToken": None}
    while "nextPageToken" in page:
        page = _history(google, headers_only, place, maxResults=2, pageToken=page["nextPageToken"])
        found += page["history"]
    assert [record["messages"][0]["id"] for record in found] == [f"19a0000000000{n}" for n in range(401, 406)]
    assert [int(record["id"]) for record in found] == sorted({int(record["id"]) for record in found})


def test_a_forgotten_place_is_not_found(google: Client, headers_only: str) -> None:
    place = _place(google, headers_only)
    _change(google, {})
    now = google.control("history", {"account": ANI}).json()["historyId"]
    answer = google.get(f"{ROOT}/history", headers_only, startHistoryId=place)
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Requested entity was not found.")
    assert _history(google, headers_only, now) == {"historyId": now}


def test_the_quirk_forgets_each_place(google: Client, headers_only: str) -> None:
    place = _place(google, headers_only)
    google.quirk(history_gone=True)
    assert google.get(f"{ROOT}/history", headers_only, startHistoryId=place).status_code == 404


def test_a_deleted_message_is_not_found(google: Client, headers_only: str) -> None:
    _change(google, {"id": NEWEST}, delete=True)
    answer = google.get(f"{ROOT}/messages/{NEWEST}", headers_only, format="metadata")
    assert (answer.status_code, reason(answer)) == (404, "notFound")
    assert NEWEST not in _ids(google, headers_only)
    assert google.get(f"{ROOT}/profile", headers_only).json()["messagesTotal"] == 399


def test_headers_of_a_control_call_are_handed_out_as_they_were_put_in(google: Client, headers_only: str) -> None:
    odd = [{"name": "From", "value": 7}, "neither", {"value": "nameless"}]
    added = _change(google, {"headers": odd})
    assert _message(google, headers_only, added, format="metadata")["payload"]["headers"] == odd
    chosen = _message(google, headers_only, added, format="metadata", metadataHeaders="From")["payload"]["headers"]
    assert chosen == odd[:1]


def test_labels_are_listed(google: Client) -> None:
    labels = google.get(f"{ROOT}/labels", google.token_for("gmail.labels")).json()["labels"]
    by_id = {label["id"]: label["type"] for label in labels}
    assert {"INBOX": "system", "SENT": "system", "UNREAD": "system", "Label_1": "user"}.items() <= by_id.items()


@pytest.mark.parametrize(("user", "status"), [("ani@example.com", 200), ("budi@example.com", 403), ("nobody", 403)])
def test_only_the_own_mailbox_is_reached(google: Client, headers_only: str, user: str, status: int) -> None:
    """Rule G9."""
    answer = google.get(f"/gmail/v1/users/{user}/profile", headers_only)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("scope", "opened"),
    [
        ("gmail.labels", {"labels"}),
        ("gmail.compose", {"profile"}),
        ("gmail.metadata", {"labels", "profile", "messages"}),
        ("gmail.addons.current.message.readonly", set()),
        ("contacts.readonly", set()),
    ],
)
def test_each_scope_opens_its_own_part(google: Client, scope: str, opened: set[str]) -> None:
    """Rules G7, G8."""
    token = google.token_for(scope)
    found = {
        name for name in ("labels", "profile", "messages") if google.get(f"{ROOT}/{name}", token).status_code == 200
    }
    assert found == opened


def test_a_missing_scope_is_told_in_both_envelopes(google: Client) -> None:
    answer = google.get(f"{ROOT}/messages", google.connect("openid", CONTACTS)["access_token"])
    error = answer.json()["error"]
    assert (answer.status_code, reason(answer)) == (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
    assert error["details"][0]["metadata"]["service"] == "gmail.googleapis.com"


def test_a_dead_token_is_told_with_the_older_envelope(google: Client) -> None:
    answer = google.get(f"{ROOT}/profile", "ya29.DEAD")
    assert (answer.status_code, reason(answer)) == (401, "authError")


@pytest.mark.parametrize(
    "query",
    [
        {"maxResults": "0"},
        {"maxResults": "9" * 5000},
        {"pageToken": "NOT-ONE"},
        {"surprise": "1"},
        {"includeSpamTrash": "perhaps"},
    ],
)
def test_a_malformed_list_is_refused(google: Client, headers_only: str, query: dict[str, str]) -> None:
    _is_refused(google.get(f"{ROOT}/messages", headers_only, **query))


@pytest.mark.parametrize("query", [{}, {"startHistoryId": "x"}, {"startHistoryId": "5", "historyTypes": "all"}])
def test_a_malformed_question_for_history_is_refused(google: Client, headers_only: str, query: dict[str, str]) -> None:
    _is_refused(google.get(f"{ROOT}/history", headers_only, **query))


def test_an_unknown_format_is_refused(google: Client, headers_only: str) -> None:
    _is_refused(google.get(f"{ROOT}/messages/{NEWEST}", headers_only, format="short"))


def _is_refused(answer: requests.Response) -> None:
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_too_many_calls_are_told_in_the_older_envelope(google: Client, headers_only: str) -> None:
    google.quirk(rate_limit={"/gmail": {"value": 3, "times": 1}})
    answer = google.get(f"{ROOT}/messages", headers_only)
    assert (answer.status_code, reason(answer), answer.headers["Retry-After"]) == (403, "rateLimitExceeded", "3")
    assert google.get(f"{ROOT}/messages", headers_only).status_code == 200


@pytest.mark.parametrize("path", ["messages", "history?startHistoryId=1", "labels", "profile", f"messages/{NEWEST}"])
def test_faults_reach_each_part(google: Client, headers_only: str, path: str) -> None:
    google.quirk(outage={"/gmail": {"value": 503, "times": 1}}, forbidden={"/gmail": "domainPolicy"})
    assert google.get(f"{ROOT}/{path}", headers_only).status_code == 503
    assert reason(google.get(f"{ROOT}/{path}", headers_only)) == "domainPolicy"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "text"},
        {"message": {"labelIds": "INBOX"}},
        {"message": {"to": [1]}},
        {"message": {"internalDate": "soon"}},
        {"message": {"internalDate": "9" * 40}},
    ],
)
def test_a_malformed_control_call_is_refused(google: Client, body: dict[str, Any]) -> None:
    answer = google.control("mails", {"account": ANI, **body})
    assert (answer.status_code, "error" in answer.json()) == (400, True)


def test_a_control_call_about_nothing_there_is_not_found(google: Client) -> None:
    assert google.control("mails", {"account": "nobody", "message": {}}).status_code == 404
    assert google.control("mails", {"account": ANI, "message": {"id": "x"}, "delete": True}).status_code == 404
    assert google.control("history", {"account": "nobody"}).status_code == 404


def test_a_reset_brings_the_mailbox_back(google: Client, headers_only: str) -> None:
    _change(google, {"id": NEWEST}, delete=True)
    google.control("reset")
    assert NEWEST in _ids(google, google.token_for("gmail.metadata"))
