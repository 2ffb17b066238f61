"""Metrics in Prometheus' form. Labels hold names of routes, codes and connectors, never an id of anybody.

With several workers `broker serve` gives prometheus-client a folder in which all of them count together.
"""

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY
from sqlalchemy import func, select

from broker.db import Database
from broker.models import Connection, Duty, EventDelivery, EventEndpoint
from broker.runtime import Clock

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client's own variable."""

REQUESTS = Counter("broker_requests", "Requests answered.", ("method", "route", "status"))
SECONDS = Histogram("broker_request_seconds", "Seconds until a request was answered.", ("route",))
PROBLEMS = Counter("broker_problems", "Problem documents sent, by code.", ("code",))
RECORDS = Counter("broker_records", "Records handed out.", ("connector",))


def exposition(database: Database, clock: Clock) -> bytes:
    """Everything, as text. Raises `Unavailable`."""
    registry = CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        counted = generate_latest(registry)
    else:
        counted = generate_latest(REGISTRY)
    standing = CollectorRegistry()
    standing.register(_Standing(list(_gauges(database, clock))))
    return counted + generate_latest(standing)


class _Standing:
    """What the database says at the moment of asking."""

    def __init__(self, gauges: list[Metric]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        return self._gauges


def _gauges(database: Database, clock: Clock) -> Iterable[Metric]:
    now = clock()
    with database.read() as session:
        states = session.execute(select(Connection.state, func.count()).group_by(Connection.state)).all()
        duties = session.execute(
            select(Duty.kind, func.count(), func.min(Duty.due_at)).where(Duty.open.is_(True)).group_by(Duty.kind)
        ).all()
        deliveries = session.execute(
            select(EventDelivery.state, func.count())
            .where(EventDelivery.state.in_(("pending", "failed")))
            .group_by(EventDelivery.state)
        ).all()
        failing = (
            session.scalar(
                select(func.count()).where(
                    EventEndpoint.failing_since.is_not(None), EventEndpoint.disabled_at.is_(None)
                )
            )
            or 0
        )
    connections = GaugeMetricFamily("broker_connections", "Connections, by state.", labels=["state"])
    for state, count in states:
        connections.add_metric([state], count)
    owed = GaugeMetricFamily("broker_duties_open", "Duties not yet done.", labels=["kind"])
    late = GaugeMetricFamily("broker_duties_late_seconds", "How late the oldest duty is.", labels=["kind"])
    for kind, count, due_at in duties:
        owed.add_metric([kind], count)
        late.add_metric([kind], max(0.0, (now - due_at).total_seconds()))
    told = GaugeMetricFamily("broker_event_deliveries", "Events that wait, or failed for good.", labels=["state"])
    for state, count in {"pending": 0, "failed": 0, **dict(deliveries)}.items():
        told.add_metric([state], count)
    silent = GaugeMetricFamily(
        "broker_event_endpoints_failing", "Event endpoints where nothing arrives.", value=failing
    )
    return connections, owed, late, told, silent
