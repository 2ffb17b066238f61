"""Whether this process is alive, whether it can serve, and what it counts (contract §8)."""

import secrets

from flask import Blueprint, Response, jsonify, request

from broker import metrics
from broker.errors import BrokerError, ConfigurationError
from broker.schema import is_current
from broker.web.callers import caller, the_broker

operating = Blueprint("operating", __name__)


@operating.get("/healthz")
def alive() -> Response:
    return jsonify({"status": "alive"})


@operating.get("/readyz")
def ready() -> tuple[Response, int]:
    """Database, schema, keys and shred log, each by name; 503 unless all are there."""
    broker = the_broker()
    checks = {"database": False, "schema": False, "keys": False, "shred_log": False}
    try:
        checks["schema"] = is_current(broker.database)
        checks["database"] = True
        with broker.database.write() as session:
            broker.vault.check_keys(session)
        checks["keys"] = True
        broker.shred_log.check()
        checks["shred_log"] = True
    except (BrokerError, ConfigurationError):
        pass  # what failed is what stayed False
    everything = all(checks.values())
    return jsonify({"ready": everything, "checks": checks}), 200 if everything else 503


@operating.get("/metrics")
def counted() -> Response:
    """Open in development; in production with BROKER_METRICS_TOKEN, or a client's token of scope `admin`."""
    broker = the_broker()
    if broker.settings.production and not _monitors():
        caller("admin")
    return Response(metrics.exposition(broker.database, broker.clock), mimetype="text/plain; version=0.0.4")


def _monitors() -> bool:
    token = the_broker().settings.metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return token is not None and scheme.lower() == "bearer" and secrets.compare_digest(given, token.reveal())
