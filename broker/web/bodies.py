"""Bodies and query parameters as callers may send them; everything else is refused, field by field."""

from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from flask import request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from broker import strict_json
from broker.config import is_loopback
from broker.errors import InvalidRequest, UnsupportedMediaType

NAME = r"^[A-Za-z0-9._~@:-]{1,128}$"
PRINTABLE = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PRINTABLE)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._~@:/-]+$")]
AssetId = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=PRINTABLE)]


def _page(url: str) -> str:
    """A page that people are sent to: https, or loopback while developing."""
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    if not secure or not parts.hostname or "@" in parts.netloc or not url.isascii() or not url.isprintable():
        raise ValueError("must be an https address")
    return url


PageUrl = Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(_page)]


class Body(BaseModel):
    """Strict types, no unknown members."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ConnectSessionBody(Body):
    tenant: Name
    subject: Name
    provider: Word
    connectors: Annotated[list[Word], "at least one"]
    return_url: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    subject_label: Label | None = None
    tenant_label: Label | None = None
    purpose: Text | None = None
    privacy_url: PageUrl | None = None
    locale: Literal["id", "en"] = "en"
    login_hint: Annotated[str, StringConstraints(min_length=1, max_length=320, pattern=PRINTABLE)] | None = None
    connection: Word | None = None


class PortalSessionBody(Body):
    tenant: Name
    subject: Name
    return_url: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    locale: Literal["id", "en"] = "en"


class SubjectBody(Body):
    tenant: Name
    subject: Name


class ConfirmBody(Body):
    subject: Name
    code: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    assets: dict[Word, list[AssetId]] = {}


class AssetsBody(Body):
    assets: Annotated[list[AssetId], Field(min_length=1, max_length=1000)]


class EventEndpointBody(Body):
    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    tenants: Annotated[list[Name | Literal["*"]], Field(min_length=1, max_length=1000)]
    types: Annotated[list[Word | Literal["*"]], Field(min_length=1, max_length=100)]


class ReplayBody(Body):
    """With neither: all that failed."""

    event: Word | None = None
    since: Annotated[AwareDatetime, Field(strict=False)] | None = None


def _left_out() -> Any:  # noqa: ANN401 - a default that the type itself does not admit
    """None where a member is left out; null is refused."""
    return Field(default=None, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class RevocationBody(Body):
    """What must match. A null is refused rather than read as "any": who has lost a subject must not end a tenant."""

    tenant: Name
    subject: Name = _left_out()
    provider: Word = _left_out()
    connector: Word = _left_out()
    reason: Text | None = None


class Query(BaseModel):
    """Query parameters, each at most once."""

    model_config = ConfigDict(extra="forbid")


class NoQuery(Query):
    """A route without parameters."""


class ListQuery(Query):
    tenant: Name | None = None
    subject: Name | None = None
    limit: Annotated[int, "1 to 200"] = 50
    cursor: Word | None = None


class ConnectionsQuery(ListQuery):
    provider: Word | None = None
    state: Word | None = None


class RevocationsQuery(ListQuery):
    connection: Word | None = None


class ConsentsQuery(ListQuery):
    connection: Word | None = None


class ExportQuery(Query):
    format: Literal["json", "html"] | None = None


class AuditQuery(ListQuery):
    connection: Word | None = None
    since: AwareDatetime | None = None


class RecordsQuery(Query):
    asset: AssetId | None = None
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=16_384)] | None = None
    limit: int | None = None
    """100 where it is not said; as NDJSON, as many as there may be on a page."""


class ExplainQuery(Query):
    connector: Word
    operation: Word | None = None


class PageQuery(Query):
    limit: Annotated[int, "1 to 200"] = 50
    cursor: Word | None = None


class DeliveriesQuery(PageQuery):
    state: Word | None = None


class RevokeQuery(Query):
    dry_run: Literal["true", "false"] = "false"


B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)


def body(kind: type[B]) -> B:
    """The request's JSON body. Raises `UnsupportedMediaType`, `InvalidRequest`."""
    if request.mimetype != "application/json" or _other_charset():
        raise UnsupportedMediaType("Send the body as application/json in UTF-8.")
    try:
        value = strict_json.parse(request.get_data())
    except ValueError:
        raise InvalidRequest("The body is not valid JSON.", status=400) from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _invalid(error, 422) from None


def query(kind: type[Q]) -> Q:
    """The request's query parameters. Raises `InvalidRequest` (400)."""
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if len(given) != 1:
            problem = {"field": name[:64], "problem": "stands more than once"}
            raise InvalidRequest("A parameter stands more than once.", status=400, errors=[problem])
        values[name] = given[0]
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _invalid(error, 400) from None


def bounded(limit: int, most: int) -> int:
    """Raises `InvalidRequest` (400) outside 1…most."""
    if not 1 <= limit <= most:
        problem = {"field": "limit", "problem": f"1 to {most}"}
        raise InvalidRequest(f"limit must be 1 to {most}.", status=400, errors=[problem])
    return limit


def _other_charset() -> bool:
    return request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8")


def _invalid(error: ValidationError, status: int) -> InvalidRequest:
    """Each field and what is wrong with it; never the value, which may be a secret."""
    errors = [
        {"field": ".".join(str(part)[:64] for part in entry["loc"]) or "body", "problem": entry["msg"]}
        for entry in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    fields = ", ".join(sorted({entry["field"] for entry in errors}))
    return InvalidRequest(f"These are not valid: {fields}.", status=status, errors=errors)
