"""The API of contract §3–§8, a file a part. Each route says its scope, input and answers (`broker.web.routes`)."""

from flask import Blueprint

from broker.web.api import connecting, events, portals, privacy, reading, relaying, revoking

BLUEPRINTS: tuple[Blueprint, ...] = (
    connecting.connecting,
    events.events,
    portals.portals,
    privacy.privacy,
    reading.reading,
    relaying.relaying,
    revoking.revoking,
)
