"""What an operator's monitor asks, and what stands in the logs (contract §8)."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from broker import logs
from tests.house import House, SalesApp

MONITOR = "MONITOR-TOKEN-that-is-long-enough"


@pytest.fixture
def house(sqlite_house: House) -> House:
    return sqlite_house


def get(house: House, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{house.url}{path}", headers=headers, timeout=30)


def test_the_process_says_that_it_is_alive(house: House) -> None:
    assert get(house, "/healthz").json() == {"status": "alive"}


def test_a_sound_broker_is_ready(house: House) -> None:
    answer = get(house, "/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


def test_a_broker_whose_schema_is_not_current_is_not_ready(house: House) -> None:
    with house.broker.database.engine.begin() as raw:
        raw.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    answer = get(house, "/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["schema"] is False


def test_a_broker_without_its_database_is_alive_and_not_ready(house: House) -> None:
    with house.broker.database.engine.begin() as raw:
        raw.execute(text("DROP TABLE alembic_version"))
    assert get(house, "/readyz").status_code == 503
    assert get(house, "/healthz").status_code == 200


# --- metrics -------------------------------------------------------------------------------------------------


def counted(house: House, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    answer = get(house, "/metrics", **headers)
    assert answer.status_code == 200, answer.text
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(answer.text)
    }


def test_requests_records_and_refusals_are_counted(house: House, app: SalesApp) -> None:
    connection = app.connect("google_contacts")["id"]
    before = counted(house)
    records = len(app.records(connection, limit=5).json()["records"])
    app.records(connection, "google_calendar")
    after = counted(house)
    assert (
        after["broker_records"][("google_contacts",)] - before["broker_records"].get(("google_contacts",), 0) == records
    )
    assert after["broker_problems"][("not_granted",)] > before["broker_problems"].get(("not_granted",), 0)
    assert after["broker_connections"][("active",)] == 1


def test_duties_that_are_owed_and_late_show(house: House, app: SalesApp) -> None:
    app.revoke(app.connect("google_contacts")["id"])
    house.clock.advance(minutes=5)
    found = counted(house)
    assert found["broker_duties_open"][("tell_provider",)] == 1
    assert found["broker_duties_late_seconds"][("tell_provider",)] >= 300


def test_no_label_holds_an_id_or_an_address(house: House, app: SalesApp) -> None:
    connection = app.connect("google_contacts")["id"]
    app.records(connection)
    shown = get(house, "/metrics").text
    for secret in (connection, app.client_id, "ani@example.com", "toko"):
        assert secret not in shown


@pytest.fixture
def in_production(build: Callable[..., House], sqlite_url: str) -> House:
    house = build(sqlite_url, BROKER_METRICS_TOKEN=MONITOR)
    object.__setattr__(house.broker.settings, "production", True)
    return house


def test_in_production_metrics_need_a_token(in_production: House) -> None:
    assert get(in_production, "/metrics").status_code == 401
    assert get(in_production, "/metrics", Authorization="Bearer wrong").status_code == 401
    assert counted(in_production, Authorization=f"Bearer {MONITOR}")


def test_in_production_an_admin_may_see_the_metrics(in_production: House) -> None:
    assert counted(in_production, Authorization=f"Bearer {in_production.client('admin').bearer}")
    answer = get(in_production, "/metrics", Authorization=f"Bearer {in_production.client('connect').bearer}")
    assert answer.status_code == 403


# --- logs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What is logged as in production, a JSON object a line."""
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    written = io.StringIO()
    logs.configure(production=True)
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:], root.level = before[0], before[1]


Lines = Callable[[], list[dict[str, object]]]


def test_each_request_is_one_line_of_json_with_its_id(house: House, lines: Lines) -> None:
    answer = get(house, "/healthz")
    line = next(line for line in lines() if line.get("route") == "/healthz")
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert (line["method"], line["status"], line["level"]) == ("GET", 200, "info")
    assert str(line["timestamp"]).endswith("Z")


def test_a_trace_that_came_with_the_request_is_kept(house: House, lines: Lines) -> None:
    """W3C Trace Context."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    get(house, "/healthz", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert next(line for line in lines() if line.get("route") == "/healthz")["trace_id"] == trace


@pytest.mark.parametrize("sent", ["", "00-0-0-0", f"00-{'0' * 32}-00f067aa0ba902b7-01", "x" * 5000])
def test_a_trace_that_is_none_is_left_out(house: House, lines: Lines, sent: str) -> None:
    get(house, "/healthz", traceparent=sent)
    assert "trace_id" not in next(line for line in lines() if line.get("route") == "/healthz")


def test_an_access_is_logged_with_who_read_what(house: House, app: SalesApp, lines: Lines) -> None:
    connection = app.connect("google_contacts")["id"]
    app.records(connection, limit=4)
    line = next(line for line in lines() if line["event"] == "accessed")
    assert (line["client_id"], line["connection_id"]) == (app.client_id, connection)
    assert (line["connector"], line["resource"], line["records"]) == ("google_contacts", "contacts", 4)


def test_one_time_addresses_do_not_stand_in_the_log(house: House, app: SalesApp, lines: Lines) -> None:
    url = app.begin("google_contacts")
    requests.get(url, timeout=30)
    assert url.rsplit("/", 1)[1] not in json.dumps(lines())


def test_a_fault_of_ours_is_logged_without_its_text(house: House, lines: Lines) -> None:
    """An exception's text could hold a value; its kind and place are enough to find it."""

    @house.app.get("/broken")
    def broken() -> str:
        raise RuntimeError("SECRET-IN-AN-EXCEPTION")

    answer = get(house, "/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    logged = json.dumps(lines())
    assert "SECRET-IN-AN-EXCEPTION" not in logged
    assert "SECRET-IN-AN-EXCEPTION" not in answer.text
    assert "RuntimeError" in logged
    assert "test_operating.py" in logged
