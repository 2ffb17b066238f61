"""What the consent page says, as a value: the page shows exactly this, and the grant records its hash.

Pure. Texts exist in English and Bahasa Indonesia; a new language is a new entry in `TEXTS`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from broker.contract import Connector, Reads
from broker.providers.base import Provider
from broker.providers.resource import Resource

LANGUAGES = ("en", "id")

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Connect {provider}",
        "asks": "{app} asks to read data from your {provider} account.",
        "for": "For: {subject}",
        "purpose": "Purpose: {purpose}",
        "choose": "Untick what you do not want to share. At least one must stay ticked.",
        "all": "{provider} grants all of this or nothing.",
        "reads": "Reads: {fields}",
        "optional": "Only if you allow it at {provider}: {fields}",
        "account": "It also learns which {provider} account this is, by its email address or name.",
        "limits": "Only these data are passed on, only for what is ticked, and only until you end it.",
        "revoke": "You can withdraw at any time: in the app that sent you here, or in your {provider} account.",
        "approve": "Continue to {provider}",
        "deny": "No, go back",
        "privacy": "Privacy policy",
        "nothing_ticked": "Tick at least one, or choose “No, go back”.",
        "a_business": "The sales app",
    },
    "id": {
        "title": "Hubungkan {provider}",
        "asks": "{app} meminta izin membaca data dari akun {provider} Anda.",
        "for": "Untuk: {subject}",
        "purpose": "Tujuan: {purpose}",
        "choose": "Hapus centang pada yang tidak ingin Anda bagikan. Setidaknya satu harus tetap dicentang.",
        "all": "{provider} memberikan semua ini atau tidak sama sekali.",
        "reads": "Membaca: {fields}",
        "optional": "Hanya jika Anda izinkan di {provider}: {fields}",
        "account": "Aplikasi itu juga mengetahui akun {provider} mana ini, dari alamat email atau namanya.",
        "limits": "Hanya data ini yang diteruskan, hanya untuk yang dicentang, dan hanya sampai Anda mengakhirinya.",
        "revoke": "Anda dapat mencabut izin kapan saja: di aplikasi yang mengarahkan Anda ke sini, atau di akun "
        "{provider} Anda.",
        "approve": "Lanjut ke {provider}",
        "deny": "Tidak, kembali",
        "privacy": "Kebijakan privasi",
        "nothing_ticked": "Centang setidaknya satu, atau pilih “Tidak, kembali”.",
        "a_business": "Aplikasi penjualan",
    },
}


@dataclass(frozen=True)
class ConnectorText:
    name: str
    title: str
    reads: str
    optional: str | None


@dataclass(frozen=True)
class ConsentText:
    """Everything the page says, in one language."""

    locale: str
    title: str
    asks: str
    subject: str | None
    purpose: str | None
    choose: str
    account: str
    limits: str
    revoke: str
    approve: str
    deny: str
    privacy: str
    nothing_ticked: str
    may_choose: bool
    connectors: tuple[ConnectorText, ...]

    def wording(self) -> str:
        """All that it says, as it is kept: canonical JSON. Where it names the user, it says only that it does."""
        said = asdict(self) | ({"subject": "{subject}"} if self.subject else {})
        return json.dumps(said, sort_keys=True, ensure_ascii=False)

    def fingerprint(self) -> str:
        """SHA-256 of the wording (docs/facts/security.md §7.2)."""
        return hashlib.sha256(self.wording().encode()).hexdigest()


def consent_text(
    provider: Provider,
    connectors: list[Connector],
    *,
    locale: str,
    tenant_label: str | None,
    subject_label: str | None,
    purpose: str | None,
    may_choose: bool = True,
) -> ConsentText:
    """`may_choose`: the user can untick a connector; not where the provider grants only all or nothing."""
    texts = TEXTS[locale]
    names = {"provider": provider.title, "app": tenant_label or texts["a_business"]}
    return ConsentText(
        locale=locale,
        title=texts["title"].format(**names),
        asks=texts["asks"].format(**names),
        subject=texts["for"].format(subject=subject_label) if subject_label else None,
        purpose=texts["purpose"].format(purpose=purpose) if purpose else None,
        choose=texts["choose" if may_choose else "all"].format(**names),
        account=texts["account"].format(**names),
        limits=texts["limits"],
        revoke=texts["revoke"].format(**names),
        approve=texts["approve"].format(**names),
        deny=texts["deny"],
        privacy=texts["privacy"],
        nothing_ticked=texts["nothing_ticked"],
        may_choose=may_choose,
        connectors=tuple(_connector_text(connector, provider, locale) for connector in connectors),
    )


def _connector_text(connector: Connector, provider: Provider, locale: str) -> ConnectorText:
    texts, names = TEXTS[locale], {"provider": provider.title}
    resource = provider.resources[connector.reads.resource]
    choices = _choices(connector.choices, provider, locale)
    return ConnectorText(
        name=connector.name,
        title=connector.titles.get(locale, connector.name),
        reads=texts["reads"].format(fields=named(connector.reads.fields, resource, locale)),
        optional=texts["optional"].format(fields=choices, **names) if choices else None,
    )


def _choices(choices: Reads | None, provider: Provider, locale: str) -> str:
    return named(choices.fields, provider.resources[choices.resource], locale) if choices else ""


def named(fields: Iterable[str], resource: Resource, locale: str) -> str:
    """Fields in words for people."""
    return ", ".join(resource.titles.get(field, {}).get(locale, field) for field in fields)
