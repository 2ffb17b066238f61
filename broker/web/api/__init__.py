"""The API of contract §3–§8, a file a part. Each route says its scope, input and answers (`broker.web.routes`)."""

from flask import Blueprint

from broker.web.api import connecting, portals, reading, relaying, revoking

BLUEPRINTS: tuple[Blueprint, ...] = (
    connecting.connecting,
    portals.portals,
    reading.reading,
    relaying.relaying,
    revoking.revoking,
)
