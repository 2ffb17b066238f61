"""What things are called on the page: providers, connectors, accounts, and the way to a provider's own settings."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from broker.connections.read import open_account
from broker.models import Connection
from broker.portal.texts import TEXTS, day, local
from broker.runtime import Broker
from broker.vault import Undecryptable


@dataclass(frozen=True)
class Settings:
    """Where the subject sees and ends the app's access at the provider itself."""

    provider: str
    lead: str | None
    url: str | None


def provider_title(broker: Broker, name: str) -> str:
    return broker.providers[name].title if name in broker.providers else name


def connector_title(broker: Broker, name: str, locale: str) -> str:
    """Also of a connector that is not installed any more."""
    connector = broker.connectors.get(name)
    return connector.titles.get(locale, name) if connector else name


def account_label(broker: Broker, session: Session, row: Connection, locale: str) -> str:
    """`Google: ani@example.com`; once the account is shredded, the provider and the day of connecting."""
    title = provider_title(broker, row.provider)
    try:
        label = open_account(broker, session, row)["label"] if row.account else None
    except Undecryptable:  # perhaps shredded in this very moment
        session.refresh(row)
        if row.account is not None:
            raise
        label = None
    since = day(local(row.created_at, locale), locale)
    return f"{title}: {label}" if label else TEXTS[locale]["unnamed"].format(provider=title, day=since)


def provider_settings(broker: Broker, name: str, locale: str) -> Settings | None:
    """None where the provider is not known to have any."""
    provider = broker.providers.get(name)
    if provider is None or not (provider.settings_url or provider.settings_path):
        return None
    path = provider.settings_path
    lead = TEXTS[locale]["at_provider_lead"].format(path=path) if path else None
    return Settings(provider.title, lead, provider.settings_url)
