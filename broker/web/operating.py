"""Whether this process is alive, and whether it can serve."""

from flask import Blueprint, Response, jsonify

from broker.errors import BrokerError, ConfigurationError
from broker.schema import is_current
from broker.web.callers import the_broker

operating = Blueprint("operating", __name__)


@operating.get("/healthz")
def alive() -> Response:
    return jsonify({"status": "alive"})


@operating.get("/readyz")
def ready() -> tuple[Response, int]:
    """Database, schema and keys, each by name; 503 unless all are there."""
    broker = the_broker()
    checks = {"database": False, "schema": False, "keys": False}
    try:
        checks["schema"] = is_current(broker.database)
        checks["database"] = True
        with broker.database.write() as session:
            broker.vault.check_keys(session)
        checks["keys"] = True
    except (BrokerError, ConfigurationError):
        pass  # what failed is what stayed False
    everything = all(checks.values())
    return jsonify({"ready": everything, "checks": checks}), 200 if everything else 503
