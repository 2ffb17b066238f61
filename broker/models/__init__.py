"""Every table, by the words of the design. What a column's name does not say stands beside it.

Sealed columns hold the vault's blobs (`broker.vault`); a `*_hash` column holds the SHA-256 of a random
256-bit value whose clear form the broker does not keep.
"""

from broker.models.audit import AccessCount, AuditEntry, AuditHead
from broker.models.callers import AccessToken, Client, ClientAssertion, ClientSecret, IdempotentAnswer, OwnProviderApp
from broker.models.connecting import ConnectSession
from broker.models.connections import Authorization, Connection, Grant, ProviderCalls, ProviderPause
from broker.models.consent import Consent, ConsentWording, Erasure
from broker.models.ending import DeletionRequest, Duty, Orphan, Revocation, RevocationItem
from broker.models.events import EventDelivery, EventEndpoint
from broker.models.hooks import EventStream, SecurityEvent, TokenFingerprint
from broker.models.keys import ConnectionKey, KeyCheck, OwedShred, TenantKey
from broker.models.portal import PortalSession
from broker.models.receipts import SigningKey
from broker.models.shredlog import LogMark, OwedLine
from broker.models.webhooks import Announcement, GrantAsset

__all__ = [
    "AccessCount",
    "AccessToken",
    "Announcement",
    "AuditEntry",
    "AuditHead",
    "Authorization",
    "Client",
    "ClientAssertion",
    "ClientSecret",
    "ConnectSession",
    "Connection",
    "ConnectionKey",
    "Consent",
    "ConsentWording",
    "DeletionRequest",
    "Duty",
    "Erasure",
    "EventDelivery",
    "EventEndpoint",
    "EventStream",
    "Grant",
    "GrantAsset",
    "IdempotentAnswer",
    "KeyCheck",
    "LogMark",
    "Orphan",
    "OwedLine",
    "OwedShred",
    "OwnProviderApp",
    "PortalSession",
    "ProviderCalls",
    "ProviderPause",
    "Revocation",
    "RevocationItem",
    "SecurityEvent",
    "SigningKey",
    "TenantKey",
    "TokenFingerprint",
]
