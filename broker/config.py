"""Settings from the environment. Wrong or half-set configuration refuses to start and lists every problem.

Nothing here reads `os.environ` at import; the composition root passes the environment in.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from broker import failpoint
from broker.errors import ConfigurationError
from broker.failpoint import Failure
from broker.secret import Secret

SHORTEST_TOKEN = 24
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Option:
    """A provider's own setting, `BROKER_<PROVIDER>_<NAME>`, declared in the provider's file."""

    name: str
    default: str = ""
    pattern: str = r".*"
    secret: bool = False


DAILY_LOOK = Option("DAILY_LOOK", "on", "on|off")
"""Of a provider that can only be asked by a refresh: whether a connection that nobody read for a day is, so that a
removal there is found."""


@dataclass(frozen=True)
class ProviderApp:
    """Our registration at a provider."""

    id: str
    """The provider's name for the one app that all tenants share."""
    provider: str
    client_id: str
    client_secret: Secret
    issuer: str = ""
    """Generic OpenID providers only."""
    tenant: str | None = None
    """The one tenant that it is for; None: for all."""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Retention:
    """Days for which something is kept after its end; 0: for good."""

    sessions: float
    """Attempts to connect that were confirmed, denied or left."""
    failed: float
    """Attempts that failed."""
    ended: float
    """Ended connections with their grants and consents, and receipts."""
    accesses: float
    """Counts of data accesses, after their hour."""
    deletions: float
    """Requests for deletion that a provider passed on."""


@dataclass(frozen=True)
class Settings:
    """The validated environment; see the README for each variable's meaning and default."""

    production: bool
    database_url: str = field(repr=False)
    """It may hold a password."""
    keystore_url: str = field(repr=False)
    """Empty: the keys are in the same database."""
    shred_log: str = field(repr=False)
    """An absolute path, or a second database's URL, which may hold a password."""
    keys: str
    public_url: str
    apps: Mapping[str, ProviderApp]
    """Those that all tenants share, by provider."""
    options: Mapping[str, Mapping[str, str]]
    """provider → its own options, configured or not: a tenant's own app begins with them."""
    origins: Mapping[str, str]
    request_deadline: float
    provider_deadline: float
    retention: Retention
    metrics_token: Secret | None = None
    failpoints: Mapping[str, Failure] = field(default_factory=dict)
    """Tests only; refused in production."""

    @property
    def public_origin(self) -> str:
        return origin(self.public_url)

    @classmethod
    def read(cls, environ: Mapping[str, str], declared: Mapping[str, Iterable[Option]]) -> "Settings":
        """Check everything, then build. `declared`: provider name → its options. Raises `ConfigurationError`."""
        reading = _Reading(environ)
        production = reading.choice("BROKER_ENV", ("production", "development"), "production") == "production"
        database_url = reading.database("BROKER_DATABASE_URL")
        options = reading.options(declared)
        apps = reading.apps(options, production)
        settings = cls(
            production=production,
            database_url=database_url,
            keystore_url=reading.keystore("BROKER_KEYSTORE_URL", database_url),
            shred_log=reading.shred_log("BROKER_SHRED_LOG", database_url),
            keys=reading.required("BROKER_KEYS", "make one with: broker keys generate file:/path/to/keys"),
            public_url=reading.public_url(production),
            options={**options, **{app.id: app.options for app in apps.values() if app.issuer}},
            apps=apps,
            origins=reading.origins(production),
            request_deadline=reading.seconds("BROKER_REQUEST_DEADLINE", 30.0),
            provider_deadline=reading.seconds("BROKER_PROVIDER_DEADLINE", 10.0),
            retention=reading.retention(),
            metrics_token=reading.metrics_token(),
            failpoints=reading.failpoints(production),
        )
        if settings.provider_deadline >= settings.request_deadline:
            reading.problem("BROKER_PROVIDER_DEADLINE must be shorter than BROKER_REQUEST_DEADLINE")
        if reading.problems:
            raise ConfigurationError(reading.problems)
        return settings


def _beside(database_url: str) -> str:
    """Where the shred log is unless it is named: beside SQLite's file, else in the instance folder under its name.

    Each database has its own. To survive what destroys the database it must be named, and stand elsewhere.
    """
    if database_url.startswith("sqlite:///"):
        return str(Path(re.sub(r"\?.*", "", database_url.removeprefix("sqlite:///"))).absolute()) + ".shred-log"
    parts = urlsplit(database_url)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{parts.hostname}-{parts.port or 5432}{parts.path}")
    return str(Path.cwd() / "instance" / f"{name}.shred-log")


def origin(url: str) -> str:
    """`scheme://host[:port]` of a URL, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_loopback(url: str) -> bool:
    netloc = urlsplit(url).netloc
    return any(netloc == host or netloc.startswith(host + ":") for host in LOOPBACK)


class _Reading:
    """Reads one environment and collects what is wrong with it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def problem(self, text: str) -> None:
        self.problems.append(text)

    def get(self, name: str, default: str = "") -> str:
        return self.environ.get(name, "").strip() or default

    def required(self, name: str, how: str) -> str:
        value = self.get(name)
        if not value:
            self.problem(f"{name} is not set: {how}")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.get(name, default)
        if value not in allowed:
            self.problem(f"{name} must be one of: {', '.join(allowed)}")
            return default
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self.get(name)
        if not value:
            return default
        if not re.fullmatch(r"\d{1,4}(\.\d+)?", value) or float(value) <= 0:
            self.problem(f"{name} must be a number of seconds above 0")
            return default
        return float(value)

    def retention(self) -> Retention:
        return Retention(
            sessions=self.days("BROKER_RETENTION_SESSIONS", 1),
            failed=self.days("BROKER_RETENTION_FAILED", 30),
            ended=self.days("BROKER_RETENTION_ENDED", 1095),
            accesses=self.days("BROKER_RETENTION_ACCESSES", 400),
            deletions=self.days("BROKER_RETENTION_DELETIONS", 400),
        )

    def days(self, name: str, default: float) -> float:
        value = self.get(name)
        if value and not re.fullmatch(r"\d{1,5}(\.\d+)?", value):
            self.problem(f"{name} must be a number of days, 0 to keep for good")
            return default
        return float(value) if value else default

    def metrics_token(self) -> Secret | None:
        value = self.get("BROKER_METRICS_TOKEN")
        if value and (len(value) < SHORTEST_TOKEN or not value.isascii() or not value.isprintable()):
            self.problem(f"BROKER_METRICS_TOKEN must be at least {SHORTEST_TOKEN} printable characters")
        return Secret(value) if value else None

    def failpoints(self, production: bool) -> dict[str, Failure]:
        value = self.get("BROKER_FAILPOINTS")
        if value and production:
            self.problem("BROKER_FAILPOINTS is for tests only: unset it")
        try:
            return failpoint.parse(value)
        except ValueError:
            self.problem("BROKER_FAILPOINTS names a failpoint or an act that there is not")
            return {}

    def database(self, name: str) -> str:
        value = self.get(name)
        if not value:
            folder = Path.cwd() / "instance"
            return f"sqlite:///{folder / 'broker.db'}"
        if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            self.problem(f"{name} must begin with sqlite:/// or postgresql+psycopg://")
        elif re.match(r"sqlite:///(?:$|\?|:memory:|file:)", value):
            self.problem(f"{name} must name a file")
        return value

    def keystore(self, name: str, database_url: str) -> str:
        value = self.get(name) and self.database(name)
        if value and value == database_url:
            self.problem(f"{name} must name another database than BROKER_DATABASE_URL, or be unset")
        return value

    def shred_log(self, name: str, database_url: str) -> str:
        value = self.get(name) or _beside(database_url)
        if value == database_url:
            self.problem(f"{name} must name another database than BROKER_DATABASE_URL")
        elif "://" in value or value.startswith("sqlite:"):
            return self.database(name)
        elif not Path(value).is_absolute():
            self.problem(f"{name} must be an absolute path, or the URL of a second database")
        elif Path(value).is_dir() or f"sqlite:///{value}" in (database_url, self.get("BROKER_KEYSTORE_URL")):
            self.problem(f"{name} must name a file of its own")
        return value

    def public_url(self, production: bool) -> str:
        value = self.required("BROKER_PUBLIC_URL", "the broker's own origin as browsers see it").rstrip("/")
        if not value:
            return value
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.netloc
            or parts.path
            or parts.query
            or parts.fragment
            or "@" in parts.netloc
        ):
            self.problem("BROKER_PUBLIC_URL must be an origin alone, like https://broker.example.com")
        elif production and parts.scheme != "https":
            self.problem("BROKER_PUBLIC_URL must be https in production")
        elif parts.scheme == "http" and not is_loopback(value):
            self.problem("BROKER_PUBLIC_URL over plain http may only name loopback")
        return value

    def origins(self, production: bool) -> dict[str, str]:
        value = self.get("BROKER_ORIGINS")
        if value and production:
            self.problem("BROKER_ORIGINS is for development only: unset it, or set BROKER_ENV=development")
        mapped: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in value.split(","))):
            left, _, right = (part.strip().rstrip("/") for part in pair.partition("="))
            if not _is_origin(left, "https", "http") or not _is_origin(right, "http", "https"):
                self.problem("BROKER_ORIGINS must be a list of origin=origin without paths, separated by commas")
            elif not is_loopback(right):
                self.problem(f"BROKER_ORIGINS may only lead to loopback, and {left} does not")
            else:
                mapped[left.lower()] = right.lower()
        return mapped

    def options(self, declared: Mapping[str, Iterable[Option]]) -> dict[str, Mapping[str, str]]:
        return {
            name: {option.name: self._option(f"BROKER_{name.upper()}", option) for option in options}
            for name, options in declared.items()
        }

    def apps(self, options: Mapping[str, Mapping[str, str]], production: bool) -> dict[str, ProviderApp]:
        found = [self._app(name, own) for name, own in options.items()]
        found += [self._openid_app(name, set(options), production) for name in self._openid_names()]
        return {app.id: app for app in found if app}

    def _app(self, name: str, options: Mapping[str, str]) -> ProviderApp | None:
        prefix = f"BROKER_{name.upper()}"
        client_id, client_secret = self.get(f"{prefix}_CLIENT_ID"), self.get(f"{prefix}_CLIENT_SECRET")
        if bool(client_id) != bool(client_secret):
            missing = "_CLIENT_SECRET" if client_id else "_CLIENT_ID"
            self.problem(f"{prefix}{missing} is not set though the other half is: set both, or neither")
        if not (client_id and client_secret):
            return None
        return ProviderApp(name, name, client_id, Secret(client_secret), options=options)

    def _option(self, prefix: str, option: Option) -> str:
        value = self.get(f"{prefix}_{option.name}", option.default)
        if not re.fullmatch(option.pattern, value):
            self.problem(f"{prefix}_{option.name} does not have the form {option.pattern}")
        return value

    def _openid_names(self) -> list[str]:
        pattern = re.compile(r"BROKER_OIDC_([A-Z0-9_]+)_(?:ISSUER|CLIENT_ID|CLIENT_SECRET)")
        return sorted({match[1] for name in self.environ if (match := pattern.fullmatch(name))})

    def _openid_app(self, name: str, taken: set[str], production: bool) -> ProviderApp | None:
        prefix = f"BROKER_OIDC_{name}"
        values = [self.get(f"{prefix}_{part}") for part in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")]
        if not all(values):
            self.problem(f"{prefix}_ISSUER, _CLIENT_ID and _CLIENT_SECRET must all be set, or none")
            return None
        issuer, client_id, client_secret = values
        if name.lower() in taken:
            self.problem(f"{prefix}: the name is taken by a provider of ours, choose another")
        parts = urlsplit(issuer)
        if not parts.netloc or parts.query or parts.fragment or not _secure(issuer, production):
            self.problem(f"{prefix}_ISSUER must be an https URL (in development also http to loopback)")
        own = {DAILY_LOOK.name: self._option(prefix, DAILY_LOOK)}
        return ProviderApp(name.lower(), name.lower(), client_id, Secret(client_secret), issuer=issuer, options=own)


def _secure(url: str, production: bool) -> bool:
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and not production and is_loopback(url))


def _is_origin(value: str, *schemes: str) -> bool:
    return re.fullmatch(rf"(?:{'|'.join(schemes)})://(?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::\d+)?", value) is not None
