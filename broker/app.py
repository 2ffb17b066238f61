"""The composition root: the one place that knows every part. Wrong configuration ends here, with the whole list."""

import logging
import os
import resource
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values
from flask import Flask
from sqlalchemy.orm import Session

from broker import events, failpoint, ledger, logs, providers
from broker.accesses import Accesses
from broker.audit import appender
from broker.config import Settings, is_loopback
from broker.connections.found import forget_ended
from broker.contract import Connector
from broker.db import Database
from broker.errors import ConfigurationError
from broker.identity import Identity
from broker.installed import load_connectors, unlisted
from broker.privacy import erase
from broker.providers.base import Provider
from broker.providers.openid import OpenIDProvider
from broker.recent import Recent
from broker.runtime import Broker, Clock, utc_now
from broker.schema import is_current
from broker.shredlog import ShredLog
from broker.upstream import Upstream
from broker.vault import KeyRing, Vault, check_place
from broker.web import edge, oauth, problems
from broker.web.api import BLUEPRINTS
from broker.web.google_events import google_events
from broker.web.hooks import hooks
from broker.web.openapi import openapi
from broker.web.operating import operating
from broker.web.pages import pages
from broker.web.portal import portal

MAX_BODY = 64 * 1024


def environment() -> dict[str, str]:
    """The process's environment over an optional `.env` file in the working directory."""
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**from_file, **os.environ}


def assemble(environ: Mapping[str, str], *, clock: Clock = utc_now) -> Broker:
    """Read, check and connect everything. Raises `ConfigurationError`."""
    installed = providers.installed()
    settings = Settings.read(environ, {name: provider.options for name, provider in installed.items()})
    if wrong := [text for name, own in installed.items() for text in own.problems(settings.options[name])]:
        raise ConfigurationError(wrong)
    connectors = load_connectors()
    _check_connectors(connectors, [*installed.values(), OpenIDProvider("openid")])
    failpoint.arm(settings.failpoints)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # CRY-16: keys in memory
    for url in (settings.database_url, settings.keystore_url):
        _make_folder(url)
    database = Database(settings.database_url, keystore=settings.keystore_url)
    vault = Vault(KeyRing.load(settings.keys, environ=environ), clock=clock)
    recent = Recent()
    shred_log = ShredLog(settings.shred_log, database, vault, clock)
    database.before_commit += [
        _forgetting(recent),
        appender(vault, clock),
        shred_log.put,
        ledger.recorder(vault, clock),
        events.writer(clock),
        forget_ended,
        erase.awakener(clock),
    ]
    upstream = Upstream(origins=_origins(settings), production=settings.production, deadline=settings.provider_deadline)
    return Broker(
        settings=settings,
        database=database,
        vault=vault,
        upstream=upstream,
        identity=Identity(upstream, now=lambda: clock().timestamp()),
        providers={**installed, **_generic(settings, installed)},
        connectors=connectors,
        accesses=Accesses(database),
        shred_log=shred_log,
        recent=recent,
        clock=clock,
    )


def _forgetting(recent: Recent) -> Callable[[Session], None]:
    """What this process has changed itself, it does not know from memory as it was before."""

    def put(session: Session) -> None:
        session.info.setdefault("after_commit", {})["recent"] = recent.drop

    return put


def check(broker: Broker) -> None:
    """What must hold before serving. Raises `ConfigurationError`, `Unavailable`."""
    if not is_current(broker.database):
        raise ConfigurationError(["The database's schema is not the one of this version: run broker db upgrade."])
    check_place(broker.database)
    with broker.database.write() as session:
        broker.vault.check_keys(session)
    broker.shred_log.check()
    broker.shred_log.check_writable()
    broker.shred_log.flush()


def create_app(broker: Broker | None = None) -> Flask:
    """The WSGI application, for `gunicorn 'broker.app:create_app()'`. Raises `ConfigurationError`."""
    if broker is None:
        broker = assemble(environment())
        logs.configure(production=broker.settings.production)
    check(broker)
    app = Flask(__name__, template_folder="web/templates", static_folder="web/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.redirect_defaults = False
    app.extensions["broker"] = broker
    problems.install(app)
    oauth.install(app, broker)
    for blueprint in (*BLUEPRINTS, google_events, hooks, openapi, pages, portal, operating):
        app.register_blueprint(blueprint)
    edge.install(app)
    return app


def _check_connectors(connectors: Mapping[str, Connector], known: Iterable[Provider]) -> None:
    """A connector that reads what no provider lists must not start (docs/adr/0002)."""
    known = list(known)
    found = [f"Connector {one.name}: {fault}." for one in connectors.values() for fault in unlisted(one, known)]
    if found:
        raise ConfigurationError(found)


def _generic(settings: Settings, installed: Mapping[str, Provider]) -> dict[str, Provider]:
    return {name: OpenIDProvider(name) for name in settings.apps if name not in installed}


def _origins(settings: Settings) -> dict[str, str]:
    """The origin map; a development issuer on loopback is reached over plain http under its https name."""
    issuers = [app.issuer for app in settings.apps.values() if app.issuer.startswith("http://")]
    origins = {issuer.split("//")[1].split("/")[0] for issuer in issuers if is_loopback(issuer)}
    return {f"https://{netloc}": f"http://{netloc}" for netloc in origins} | dict(settings.origins)


def _make_folder(database_url: str) -> None:
    if database_url.startswith("sqlite:///"):
        Path(database_url.removeprefix("sqlite:///")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


logging.getLogger("broker").addHandler(logging.NullHandler())
