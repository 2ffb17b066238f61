"""Schemathesis over `/openapi.json`: whatever is sent, no 5xx and no answer that is not documented (INP)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from broker.web import api as _api  # noqa: F401 - the routes must have been said before the document is made
from broker.web.openapi import document
from tests.house import ALL_SCOPES, BUDI, SalesApp
from tests.processes import started

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
LINE_TOO_LONG = 414
"""gunicorn's own answer to more than 8190 bytes of request line."""
schemathesis.serializer.alias("application/secevent+jwt", "text/plain")
schema = schemathesis.openapi.from_dict(document("http://127.0.0.1"))


@pytest.fixture(scope="module")
def lived(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SalesApp, str, str]]:
    """Behind a real gunicorn: a client of all scopes, a live connection of its tenant, and a receipt."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "broker.db").write_bytes(_migrated_file.read_bytes())
    with started(folder, f"sqlite:///{folder / 'broker.db'}") as installation:
        app = installation.client(*ALL_SCOPES, "relay", "audit:read", "admin")
        ended = app.connect("google_contacts", account=BUDI)["id"]
        receipt = app.revoke(ended).json()["revocation"]["id"]
        yield app, app.connect()["id"], receipt


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_finds_a_fault_or_an_undocumented_answer(case: Any, lived: tuple[SalesApp, str, str]) -> None:
    app, connection, receipt = lived
    known = {"connection_id": connection, "revocation_id": receipt, "connector": "google_contacts"}
    if case.path_parameters and len(str(case.path_parameters)) % 2:
        case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
    headers = {"Authorization": f"Bearer {app.bearer}"} if case.path.startswith("/v1/") else {}
    response = case.call(base_url=app.url, headers=headers, allow_redirects=False, timeout=60)
    if response.status_code != LINE_TOO_LONG:
        case.validate_response(response, checks=CHECKS)
