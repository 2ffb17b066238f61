"""What Facebook and Instagram send: that a user took back the app there, or something of it, and that there is
something new (contract §6). The signature is all that says who it comes from: no caller, no cookie."""

import re

from flask import Blueprint, Response, jsonify, request

from broker import webhooks
from broker.connections import removed
from broker.errors import InvalidRequest
from broker.providers.webhooks import MOST
from broker.web.callers import the_broker

CHALLENGE = re.compile(r"[0-9]{1,64}")

hooks = Blueprint("hooks", __name__, url_prefix="/hooks")


@hooks.post("/<provider>/deauthorize")
@hooks.post("/<provider>/<app_id>/deauthorize")
def deauthorize(provider: str, app_id: str | None = None) -> Response:
    """No body is expected in the answer (docs/facts/meta.md §2.2)."""
    removed.deauthorize(the_broker(), provider, app_id, _signed_request())
    return Response(status=200)


@hooks.post("/<provider>/deletion")
@hooks.post("/<provider>/<app_id>/deletion")
def delete(provider: str, app_id: str | None = None) -> Response:
    """Where the user can see how it stands, and the code of that (docs/facts/meta.md §2.3)."""
    broker = the_broker()
    code = removed.delete(broker, provider, app_id, _signed_request())
    return jsonify(url=f"{broker.settings.public_url}/deletion/{code}", confirmation_code=code)


@hooks.get("/<provider>/webhook")
@hooks.get("/<provider>/<app_id>/webhook")
def verify_webhook(provider: str, app_id: str | None = None) -> Response:
    """The challenge comes back as plain text, and is digits alone: nothing that a browser could run (INP-83)."""
    asked = {name: request.args.getlist(f"hub.{name}") for name in ("mode", "verify_token", "challenge")}
    webhooks.verify(the_broker(), provider, app_id, "".join(asked["verify_token"][:1]))
    if asked["mode"] != ["subscribe"] or len(asked["challenge"]) != 1 or not CHALLENGE.fullmatch(asked["challenge"][0]):
        raise InvalidRequest("Send hub.mode=subscribe, and in hub.challenge digits alone.", status=400)
    return Response(asked["challenge"][0], mimetype="text/plain")


@hooks.post("/<provider>/webhook")
@hooks.post("/<provider>/<app_id>/webhook")
def webhook(provider: str, app_id: str | None = None) -> Response:
    """Larger than any other body may be. No body is expected in the answer (docs/facts/meta.md §5)."""
    request.max_content_length = MOST
    raw, signature = request.get_data(cache=False), request.headers.get("X-Hub-Signature-256", "")
    webhooks.receive(the_broker(), provider, app_id, raw, signature)
    return Response(status=200)


def _signed_request() -> str:
    given = request.form.getlist("signed_request")
    if len(given) != 1:
        raise InvalidRequest("Send signed_request once, as a form.", status=400)
    return given[0]
