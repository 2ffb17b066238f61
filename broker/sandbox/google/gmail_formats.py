"""A message in each of its formats, and which of them a token opens (§4.6.1).

Sections and rules are of docs/facts/google.md.
"""

import base64
from collections.abc import Collection as Names
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parseaddr
from typing import Any

from broker.sandbox.google.mailbox import brief, history_id
from broker.sandbox.listing import Item, Record

WIB = timezone(timedelta(hours=7))
"""Western Indonesia."""

FORMATS = ("minimal", "full", "raw", "metadata")


def shown(item: Item, how: str, names: Names[str], *, headers_only: bool) -> Record:
    """The message in the format `how`; `names`: the headers asked for, none = all. Rules G5, G6.

    `headers_only`: the token is one of `gmail.metadata`, which sees no snippet. That a wider one does is our reading.
    """
    message = item.record
    if how == "minimal":
        return brief(message)
    raw = _raw(message)
    answer = {
        **brief(message),
        "historyId": history_id(item.version),
        "internalDate": message["internalDate"],
        "sizeEstimate": len(raw),
        **({} if headers_only else {"snippet": message["text"][:100]}),
    }
    if how == "raw":
        return {**answer, "raw": _encoded(raw)}
    return {**answer, "payload": _full(message) if how == "full" else _head(message, names)}


def _head(message: Record, names: Names[str]) -> Record:
    wanted = {name.lower() for name in names}
    found = headers(message)
    return {"partId": "", "headers": [one for one in found if not wanted or _name(one) in wanted]}


def _name(header: Any) -> str:  # noqa: ANN401 - a test may have put in whatever it likes
    return str(header.get("name")).lower() if isinstance(header, dict) else ""


def _full(message: Record) -> Record:
    text = message["text"]
    bodies = (("text/plain", text), ("text/html", f"<p>{text}</p>"))
    parts = [_part(place, kind, body) for place, (kind, body) in enumerate(bodies)]
    head = {"partId": "", "mimeType": "multipart/alternative", "filename": "", "headers": headers(message)}
    return {**head, "body": {"size": 0}, "parts": parts}


def _part(place: int, kind: str, text: str) -> Record:
    header = {"name": "Content-Type", "value": f'{kind}; charset="UTF-8"'}
    body = {"size": len(text.encode()), "data": _encoded(text.encode())}
    return {"partId": str(place), "mimeType": kind, "filename": "", "headers": [header], "body": body}


def _raw(message: Record) -> bytes:
    whole = [one for one in headers(message) if isinstance(one, dict) and one.keys() >= {"name", "value"}]
    lines = [f"{one['name']}: {one['value']}" for one in whole]
    return "\r\n".join([*lines, "", message["text"]]).encode()


def _encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


def headers(message: Record) -> list[Any]:
    """All that a message has, in the order of the wire; those of a control call as they were put in."""
    if isinstance(message.get("headers"), list):
        return list(message["headers"])
    found = _of_transport(message) | _of_author(message)
    return [{"name": name, "value": value} for name, value in found.items()]


def _of_author(message: Record) -> dict[str, str]:
    earlier = f"<{message['answers']}@mail.example.org>" if message.get("answers") else ""
    found = {
        "MIME-Version": "1.0",
        "From": message["from"],
        "Date": format_datetime(_sent(message)),
        "Message-ID": f"<{message['id']}@mail.example.org>",
        "In-Reply-To": earlier,
        "References": earlier,
        "Subject": message["subject"],
        "To": ", ".join(message["to"]),
        "Cc": ", ".join(message["cc"]),
        "Content-Type": f'multipart/alternative; boundary="000000{message["id"]}"',
        "X-Mailer": "Letters 7.1",
        "X-Priority": "3",
        "Importance": "Normal",
    }
    return {name: value for name, value in found.items() if value}


def _of_transport(message: Record) -> dict[str, str]:
    """What mail servers wrote: more than anybody wants to know."""
    sender, receiver = parseaddr(message["from"])[1], parseaddr(message["to"][0] if message["to"] else "")[1]
    when, key = format_datetime(_sent(message)), message["id"]
    path = f"from mail.example.org (mail.example.org. [192.0.2.1]) by mx.example.com with ESMTPS id {key}; {when}"
    signature = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=2026; b={key}"
    result = f"mx.example.com; dkim=pass header.i=@example.org; spf=pass smtp.mailfrom={sender}"
    return {
        "Delivered-To": receiver,
        "Received": path,
        "X-Google-Smtp-Source": f"AGHT+{key}",
        "X-Received": path,
        "ARC-Seal": f"i=1; a=rsa-sha256; t={int(message['internalDate']) // 1000}; cv=none; d=google.com; b={key}",
        "ARC-Message-Signature": f"i=1; {signature}",
        "ARC-Authentication-Results": f"i=1; {result}",
        "Return-Path": f"<{sender}>",
        "Received-SPF": f"pass (example.com: domain of {sender} designates 192.0.2.1) client-ip=192.0.2.1;",
        "Authentication-Results": result,
        "DKIM-Signature": signature,
        "X-Google-DKIM-Signature": signature,
        "X-Gm-Message-State": f"AOJu0Y{key}",
        "X-Gm-Features": f"AWmQ{key}",
        "Sender": sender,
        "Reply-To": sender,
    }


def _sent(message: Record) -> datetime:
    return datetime.fromtimestamp(int(message["internalDate"]) / 1000, WIB)
