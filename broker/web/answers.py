"""What callers are answered, as schemas for `/openapi.json`: contract §2–§5 in types. Tests hold answers to them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Time = str
"""RFC 3339, UTC."""
State = Literal["active", "reconnect_required", "suspended", "revoking", "revoked"]
Outcome = Literal["confirmed", "already_gone", "not_supported", "shared", "pending", "gave_up"]


class Answer(BaseModel):
    """No member beside those named, and none left out but where it has a default."""

    model_config = ConfigDict(extra="forbid")


class Wrong(Answer):
    """One field or asset of a request, and what is wrong with it."""

    field: str
    problem: str
    asset: str | None = None


class Problem(Answer):
    """RFC 9457, with a stable `code`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    request_id: str
    missing_scopes: list[str] | None = None
    source: Literal["broker", "provider"] | None = None
    assets: list["Asset"] | None = None
    retry_after: int | None = None
    errors: list[Wrong] | None = None
    url: str | None = None


class Session(Answer):
    id: str
    url: str
    expires_at: Time


class SessionStatus(Answer):
    id: str
    status: Literal["open", "pending", "confirmed", "denied", "failed", "expired"]


class Asset(Answer):
    id: str
    label: str


class OfferedAsset(Asset):
    granted: bool


class Assets(Answer):
    items: list[OfferedAsset]
    next_cursor: str | None


class Grant(Answer):
    connector: str
    scopes: list[str]
    missing_scopes: list[str]
    assets: list[Asset] | Literal["all"] | None
    granted_at: Time
    withdrawn_at: Time | None


class Connection(Answer):
    id: str
    tenant: str
    subject: str
    provider: str
    account: Asset | None
    state: State
    scopes: list[str]
    grants: list[Grant]
    created_at: Time
    last_used_at: Time | None
    expires_at: Time | None
    data_access_expires_at: Time | None


class Confirmed(Answer):
    connection: Connection
    errors: list[Wrong] | None = None


class Connections(Answer):
    items: list[Connection]
    next_cursor: str | None


class Withheld(Answer):
    field: str
    missing_scopes: list[str]


class Records(Answer):
    records: list[dict[str, Any]]
    """Of the connector's type: its JSON Schema stands at `/v1/connectors`."""
    next_cursor: str | None
    has_more: bool
    reset: bool
    withheld: list[Withheld]


class Reading(Answer):
    resource: str
    operation: str
    fields: list[str]


class Connector(Answer):
    name: str
    provider: str
    type: str
    required_scopes: list[str]
    optional_scopes: list[str]
    reads: list[Reading]
    assets: bool
    record_schema: dict[str, Any] = Field(alias="schema")


class Connectors(Answer):
    items: list[Connector]
    next_cursor: str | None


class RemoveAt(Answer):
    """Where the user ends the app's access at the provider."""

    url: str | None = None
    path: str | None = None


class Ended(Answer):
    id: str
    ended: Literal["grant", "connection"]
    connector: str | None = None
    provider: str
    provider_outcome: Outcome
    attempts: int
    last_error: str | None
    shredded_at: Time | None
    remove_at: RemoveAt | None = None


class Receipt(Answer):
    id: str
    tenant: str
    subject: str | None
    provider: str | None
    """With `connector` and `subject`: what had to match, where all that match were ended."""
    connector: str | None
    reason: str | None
    requested_at: Time
    effective_at: Time | None
    """NULL as long as not all that match are ended."""
    completed_at: Time | None
    connections: list[Ended]
    state: Literal["in_progress", "completed"]
    jws: str | None = None
    """The receipt once more, signed with a key of `/oauth/jwks`; not in lists."""
    cut: Literal[True] | None = None
    """In lists: the receipt has more connections than are shown here."""


class Revoked(Answer):
    revocation: Receipt


class Receipts(Answer):
    items: list[Receipt]
    next_cursor: str | None


class WouldEndItem(Answer):
    connection: str
    connector: str | None = None


class Sibling(Answer):
    connection: str


class WouldEnd(Answer):
    would_end: list[WouldEndItem]
    siblings: list[Sibling]


class ExplainedScopes(Answer):
    granted_by_provider: list[str]
    granted_to_connector: list[str]
    effective: list[str]


class ExplainedOperation(Answer):
    operation: str
    accepted_scopes: list[str]
    """Any one of these opens it; each may be several with blanks between them, all of which are needed."""
    missing_scopes: list[str]


class ExplainedField(Answer):
    field: str
    required: bool
    opened_by: list[str]
    withheld: bool
    missing_scopes: list[str]
    """What would open it; none where the consent page did not name it."""


class ExplainedResource(ExplainedOperation):
    resource: str
    operations: list[ExplainedOperation]
    fields: list[ExplainedField]


class Explained(Answer):
    verdict: Literal["allowed", "cut", "denied"]
    because: list[str]
    connection: str
    connector: str
    state: State
    scopes: ExplainedScopes
    assets: list[str] | None
    resources: list[ExplainedResource]


class Raw(BaseModel):
    """A provider's own answer, with nothing left in it but what was granted."""

    model_config = ConfigDict(extra="allow")


class AuditEntry(Answer):
    id: str
    at: Time
    actor: str
    action: str
    tenant: str
    subject: str | None
    connection: str | None
    detail: dict[str, Any]


class AuditEntries(Answer):
    items: list[AuditEntry]
    next_cursor: str | None


class Export(Answer):
    """Everything that is held about one subject, table by table; also as a page for people."""

    model_config = ConfigDict(json_schema_extra={"x-also": "text/html"})

    tenant: str
    subject: str
    exported_at: Time
    connections: list[dict[str, Any]]
    grants: list[dict[str, Any]]
    receipts: list[dict[str, Any]]
    accesses: list[dict[str, Any]]
    consents: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    portal_sessions: list[dict[str, Any]]
    events: list[dict[str, Any]]
    erasures: list[dict[str, Any]]
    audit: list[dict[str, Any]]


class Erasure(Answer):
    id: str
    tenant: str
    subject_hash: str
    """Keyed: whoever does not have the broker's keys cannot find out by it who that was."""
    state: Literal["in_progress", "completed"]
    requested_at: Time
    completed_at: Time | None
    revocation: str | None
    erased: dict[str, int] | None
    """What was erased → how many."""
    kept: list[str]
    jws: str | None = None
    """The certificate: the same, signed; once it is completed."""


class Erasures(Answer):
    items: list[Erasure]
    next_cursor: str | None


class SubjectErased(Answer):
    revocation: Receipt
    erasure: Erasure


class Consent(Answer):
    id: str
    tenant: str
    subject: str | None
    connection: str
    connector: str
    event: Literal["given", "narrowed", "withdrawn"]
    at: Time
    record: dict[str, Any]
    """In the terms of ISO/IEC TS 27560."""
    record_hash: str
    text_hash: str | None
    text: dict[str, Any] | None
    """What the consent page said, word for word, with a place left open for the user's name."""


class SignedConsent(Consent):
    jws: str


class Consents(Answer):
    items: list[Consent]
    next_cursor: str | None


class EventEndpoint(Answer):
    id: str
    url: str
    tenants: list[str]
    types: list[str]
    state: Literal["enabled", "failing", "disabled"]
    disabled_by: Literal["caller", "operator", "receiver"] | None
    failing_since: Time | None
    next_try_at: Time | None
    pending: int
    failed: int
    """Those that can still be replayed."""
    created_at: Time


class NewEventEndpoint(EventEndpoint):
    secret: str
    """`whsec_` and 32 bytes in base64, shown this once."""


class EventEndpoints(Answer):
    items: list[EventEndpoint]
    next_cursor: str | None


class NewEventSecret(Answer):
    id: str
    secret: str
    earlier_sign_until: Time


class EventDelivery(Answer):
    id: str
    """The event's, as in `webhook-id`."""
    type: str
    tenant: str
    connection: str | None
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: Time
    next_try_at: Time | None
    settled_at: Time | None


class EventDeliveries(Answer):
    items: list[EventDelivery]
    next_cursor: str | None


class Replayed(Answer):
    replayed: int
