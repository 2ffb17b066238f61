"""Proof: receipts checked without the broker. The file and its public keys are all it takes, no settings, no database.

What stands readable beside a signature must be what was signed, word for word.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker import strict_json
from broker.signing import NotGenuine, header, verified

BESIDE = ("iss", "iat")
"""What a signed receipt says beyond the receipt."""


@dataclass(frozen=True)
class Statement:
    """A signed statement, and the readable text that came with it, if any."""

    jws: str | None
    readable: Mapping[str, Any] | None


def statements(text: str) -> Iterator[Statement]:
    """What a file holds: one JSON value, or one a line, or signed statements alone."""
    stripped = text.strip()
    whole = _json(stripped)
    if whole is not None:
        yield from _in(whole)
        return
    for line in filter(None, (line.strip() for line in stripped.splitlines())):
        value = _json(line)
        if value is None:
            yield Statement(line, None)
        else:
            yield from _in(value)


def checked(statement: Statement, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """What a statement says, or what is wrong with it."""
    readable = statement.readable or {}
    finding: dict[str, Any] = {"receipt": _text(readable.get("id")), "verified": False, "problem": None}
    try:
        payload = _payload(statement, jwks)
    except NotGenuine as error:
        return finding | {"problem": str(error)}
    named = header(str(statement.jws))
    return {
        "receipt": _text(payload.get("id")),
        "verified": True,
        "problem": None,
        "type": named.get("typ"),
        "state": payload.get("state"),
        "ended": len(payload.get("connections", ())),
        "issuer": payload.get("iss"),
        "issued_at": payload.get("iat"),
        "key": named.get("kid"),
    }


def _payload(statement: Statement, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Raises `NotGenuine`."""
    if not isinstance(statement.jws, str):
        raise NotGenuine("It is not signed: it has no jws.")
    payload = verified(statement.jws, jwks)
    if statement.readable is not None:
        signed = {name: value for name, value in payload.items() if name not in BESIDE}
        readable = {name: value for name, value in statement.readable.items() if name != "jws"}
        differing = sorted(name for name in {*signed, *readable} if signed.get(name) != readable.get(name))
        if differing:
            raise NotGenuine(f"It was altered: what was signed says something else for {', '.join(differing)}.")
    return payload


def _in(value: Any) -> Iterator[Statement]:  # noqa: ANN401 - any JSON
    """The receipts in an answer, a list, a receipt, or what the command line printed."""
    if isinstance(value, list):
        for item in value:
            yield from _in(item)
    elif isinstance(value, str):
        yield Statement(value, None)
    elif isinstance(value, dict) and isinstance(value.get("revocation"), dict):
        yield from _in(value["revocation"])
    elif isinstance(value, dict) and isinstance(value.get("revocations", value.get("items")), list):
        yield from _in(value.get("revocations", value.get("items")))
    elif isinstance(value, dict):
        yield Statement(value.get("jws"), value)


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """None for what is none."""
    try:
        return strict_json.parse(text.encode())
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
