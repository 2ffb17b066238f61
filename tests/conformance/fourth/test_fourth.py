"""A fourth provider, with connectors of its own: this one file, and nothing else is changed for it.

Kurir is invented: a delivery service with OAuth by the book and an API of its own, no OpenID. A package would bring the
first part of this file and announce it in its entry points; the last part takes it through the suite.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Response, abort, jsonify

from broker.contract import Connector, RawRecord, Reads, Record
from broker.endpoints import Endpoints
from broker.errors import OperationDenied, ProviderUnavailable
from broker.operations import Operation
from broker.providers.base import Account, Fate, Provider, Report
from broker.providers.line import Line
from broker.providers.resource import Listing, Place, Resource, Values
from broker.sandbox.serve import Running
from broker.upstream import TokenAnswer, TokenRefused
from connectors.records import CONTACT
from tests.conformance.peer import PEOPLE, bearer, create_peer, peer
from tests.conformance.providers import Call, Candidate, Needs, Refusal
from tests.conformance.test_accounts import *  # noqa: F403 - the behaviours, for this module's candidate
from tests.conformance.test_begin import *  # noqa: F403
from tests.conformance.test_callback import *  # noqa: F403
from tests.conformance.test_confirm import *  # noqa: F403
from tests.conformance.test_ending import *  # noqa: F403
from tests.conformance.test_life import *  # noqa: F403
from tests.conformance.test_own_app import *  # noqa: F403
from tests.conformance.test_scopes import *  # noqa: F403
from tests.house import Clock, Google

# --- the provider --------------------------------------------------------------------------------------------

AUTH, API = "https://auth.kurir.example", "https://api.kurir.example"
TAIL = "~kurir"
"""It hangs this on its codes."""


class _Listed(Resource):
    identity = "id"

    def parameters(self, fields: Sequence[str], asset: str | None, place: Place | None, limit: int) -> Values:
        return {}

    def listing(self, answer: Mapping[str, Any], place: Place) -> Listing:
        items = answer.get(self.name)
        if not isinstance(items, list):
            raise ValueError("no list")
        return Listing(items, None, has_more=False)


class Recipients(_Listed):
    name = "recipients"
    operation = "kurir.recipients.list"
    fields = {"name": ("recipients",), "phone": ("recipients.phone",)}
    titles = {"name": {"en": "who gets parcels"}, "phone": {"en": "their numbers"}}


class Drivers(_Listed):
    name = "drivers"
    operation = "kurir.drivers.list"
    fields = {"name": ("drivers",)}
    titles = {"name": {"en": "who brings them"}}


class Kurir(Provider):
    kind = name = "kurir"
    title = "Kurir"
    endpoints = Endpoints(
        authorization=f"{AUTH}/authorize",
        token=f"{AUTH}/token",
        revocation=f"{AUTH}/revoke",
        userinfo=f"{API}/v1/me",
        api=API,
    )
    identity_scopes = ("me", "offline_access")
    is_openid = False
    resources = {resource.name: resource for resource in (Recipients(), Drivers())}

    def operation(self, operation_id: str, endpoints: Endpoints) -> Operation:
        for resource in self.resources.values():
            if resource.operation == operation_id:
                opened = frozenset({resource.name})
                return Operation(operation_id, "GET", API, f"/v1/{resource.name}", opened, parameters={})
        raise OperationDenied("There is no such operation.")

    def code(self, received: str) -> str:
        return received.removesuffix(TAIL)

    def fate(self, refusal: TokenRefused) -> Fate:
        """It says when it was the user who ended the app's access."""
        return "removed" if refusal.error == "access_denied" else super().fate(refusal)

    def report(self, line: Line, answer: TokenAnswer, nonce: str, requested: frozenset[str]) -> Report:
        said = line.call("GET", f"{API}/v1/me", token=answer.access_token)
        me = said.json() if said.status == 200 else None
        if not isinstance(me, dict) or not isinstance(me.get("sub"), str):
            raise ProviderUnavailable("The provider did not say whose the token is.")
        if me.get("client") != line.app.client_id:
            raise ProviderUnavailable("The provider answered with another app's token.", retryable=False)
        return Report(Account(me["sub"], str(me.get("name"))), self.granted_scopes(answer.scope, requested))


PROVIDER = Kurir()

# --- its connectors ------------------------------------------------------------------------------------------


def convert(raw: RawRecord) -> Record:
    phones = {"phones": [{"value": raw["phone"]}]} if "phone" in raw else {}
    return {"id": raw["id"], "type": "contact", "deleted": False, "name": raw["name"], **phones}


RECIPIENTS = Connector(
    name="kurir_recipients",
    provider="kurir",
    type="contact",
    reads=Reads("recipients", required=("name",), optional=("phone",)),
    convert=convert,
    schema=CONTACT,
    titles={"en": "Recipients"},
)
DRIVERS = Connector(
    name="kurir_drivers",
    provider="kurir",
    type="contact",
    reads=Reads("drivers", required=("name",)),
    convert=convert,
    schema=CONTACT,
    titles={"en": "Drivers"},
)

# --- the suite -----------------------------------------------------------------------------------------------

ENTRY_POINTS = """
[broker.providers]
kurir = tests.conformance.fourth.test_fourth:PROVIDER
[broker.connectors]
kurir_recipients = tests.conformance.fourth.test_fourth:RECIPIENTS
kurir_drivers = tests.conformance.fourth.test_fourth:DRIVERS
"""
CANDIDATES = (
    Candidate(
        name="kurir",
        fake="kurir",
        environ=lambda url: {
            "BROKER_KURIR_CLIENT_ID": "broker",
            "BROKER_KURIR_CLIENT_SECRET": "PROVIDER-SECRET-1",
            "BROKER_ORIGINS": f"{AUTH}={url},{API}={url}",
        },
        ani="ani",
        budi="budi",
        connector="kurir_recipients",
        second="kurir_drivers",
        scopes=frozenset({"me", "offline_access", "recipients", "recipients.phone"}),
        exchanged=Call("POST", "/token", "authorization_code"),
        renewed=Call("POST", "/token", "refresh_token"),
        told=Call("POST", "/revoke"),
        read="/v1/recipients",
        dies=lambda fake, account: fake.control("kill", {"account": account}),
        removed=lambda fake, account: fake.control("kill", {"account": account, "error": "access_denied"}),
        foreign={"other_client": True},
        tails=(TAIL,),
        renewed_after=timedelta(hours=1),
        first_ends=timedelta(hours=1),
        required=Needs("kurir_drivers", "drivers"),
        optional=Needs("kurir_recipients", "recipients.phone", field="phone"),
        refusal=Refusal("kurir_recipients", without=frozenset({"recipients"})),
        tellings=2,
        gone="confirmed",
    ),
)

DATA = Blueprint("data", __name__, url_prefix="/v1")


@DATA.get("/me")
def me() -> Response:
    token = bearer()
    client = "another" if peer().quirks.get("other_client") else token.client
    return jsonify(sub=PEOPLE[token.person]["sub"], name=PEOPLE[token.person]["name"], client=client)


@DATA.get("/<kind>")
def listed(kind: str) -> Response:
    if kind not in bearer().scopes:
        abort(403)
    return jsonify({kind: [{"id": f"{kind}-1", "name": "Citra", "phone": "+62 811", "secret": "S"}]})


@pytest.fixture(scope="session")
def _kurir(_fake_google: tuple[Google, Clock]) -> Iterator[Google]:
    with Running(create_peer(_fake_google[1].timestamp, DATA, is_issuer=False)) as running:
        yield Google(running.url)


@pytest.fixture
def kurir(_kurir: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Google:
    """Kurir's server, and its package as pip leaves it behind."""
    metadata = tmp_path / "site" / "kurir-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kurir\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(metadata.parent)
    _kurir.control("reset")
    return _kurir
