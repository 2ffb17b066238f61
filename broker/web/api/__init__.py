"""The API of contract §3–§8, a file a part. Each route says its scope, input and answers (`broker.web.routes`)."""

from flask import Blueprint

from broker.web.api import connecting, reading, revoking

BLUEPRINTS: tuple[Blueprint, ...] = (connecting.connecting, reading.reading, revoking.revoking)
