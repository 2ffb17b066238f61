"""A tenant's own provider app in a test: registered at the fake provider, which compares, and at the broker."""

from dataclasses import dataclass

from broker import apps
from broker.secret import Secret
from tests.house import ANI as ANI_AT_GOOGLE
from tests.house import Google, House, SalesApp
from tests.meta import ANI as ANI_AT_FACEBOOK
from tests.meta import ANI_AT_INSTAGRAM, FACEBOOK_APP, INSTAGRAM_APP

IDP = {"ISSUER": "https://accounts.google.com", "CLIENT_ID": "idp-client", "CLIENT_SECRET": "PROVIDER-SECRET-1"}
ENVIRON = {f"BROKER_OIDC_IDP_{name}": value for name, value in IDP.items()}
"""A generic OpenID provider: the fake Google once more, found by discovery."""
OWN_SECRET, NEW_SECRET = "PROVIDER-SECRET-2-of-toko", "PROVIDER-SECRET-3-of-toko"
"""They begin like those that no test may log."""


@dataclass(frozen=True)
class Way:
    """By which provider a test goes, and the account and app that are there for it."""

    provider: str
    connector: str
    account: str
    shared: tuple[str, str]
    own_id: str
    outcome: str = "confirmed"
    """How a revocation ends where nothing else uses the authorization."""

    def __str__(self) -> str:
        return self.provider

    def connect(self, app: SalesApp) -> str:
        """A new connection's id."""
        return str(app.connect(self.connector, provider=self.provider, account=self.account)["id"])

    def read(self, app: SalesApp, connection: str) -> int:
        return app.records(connection, self.connector).status_code


WAYS = (
    Way(
        "google",
        "google_contacts",
        ANI_AT_GOOGLE,
        ("broker-client.apps.googleusercontent.com", "PROVIDER-SECRET-1"),
        "toko-client.apps.googleusercontent.com",
    ),
    Way("facebook", "facebook_profile", ANI_AT_FACEBOOK, (FACEBOOK_APP, "PROVIDER-SECRET-2"), "111222333444555"),
    Way(
        "instagram",
        "instagram_profile",
        ANI_AT_INSTAGRAM,
        (INSTAGRAM_APP, "PROVIDER-SECRET-3"),
        "555444333222111",
        "not_supported",
    ),
    Way("idp", "openid_profile", ANI_AT_GOOGLE, ("idp-client", "PROVIDER-SECRET-1"), "toko-at-idp"),
)
GOOGLE, FACEBOOK, INSTAGRAM, OPENID = WAYS


@dataclass(frozen=True)
class Stage:
    """A house, and the fake that one way leads to."""

    house: House
    way: Way
    fake: Google

    def shared(self) -> None:
        """The shared app is registered with its one redirect URI, and from now on only registered apps pass."""
        self._register(*self.way.shared, f"{self.house.url}/callback/{self.way.provider}")

    def own(self, tenant: str = "toko", client_id: str = "", secret: str = OWN_SECRET) -> str:
        """A tenant's own app, here and at the provider; its id here."""
        broker, client_id = self.house.broker, client_id or self.way.own_id
        app_id = apps.add(
            broker.database,
            broker.vault,
            broker.clock(),
            provider=self.way.provider,
            tenant=tenant,
            client_id=client_id,
            client_secret=Secret(secret),
            options={},
            secret_options={},
        )
        self._register(client_id, secret, f"{self.house.url}/callback/{self.way.provider}/{app_id}")
        return app_id

    def change_secret(self, app_id: str, secret: str) -> None:
        """At the provider alone."""
        uri = f"{self.house.url}/callback/{self.way.provider}/{app_id}"
        self._register(self.way.own_id, secret, uri)

    def client(self, tenant: str = "toko") -> SalesApp:
        return self.house.client(tenants=(tenant,), tenant=tenant)

    def _register(self, client_id: str, secret: str, uri: str) -> None:
        if self.way.provider in ("google", "idp"):
            body = {"client_id": client_id, "client_secret": secret, "redirect_uris": [uri]}
            self.fake.control("clients", body)
        else:
            self.fake.control("apps", {"app": client_id, "secret": secret, "redirect_uris": [uri]})
