"""What Facebook and Instagram send when a user took the app back there (contract §6). The signature within is all that
says who it comes from: no caller, no cookie."""

from flask import Blueprint, Response, jsonify, request

from broker.connections import removed
from broker.errors import InvalidRequest
from broker.web.callers import the_broker

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


def _signed_request() -> str:
    given = request.form.getlist("signed_request")
    if len(given) != 1:
        raise InvalidRequest("Send signed_request once, as a form.", status=400)
    return given[0]
