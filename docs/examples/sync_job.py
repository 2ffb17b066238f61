#!/usr/bin/env python3
"""A sync job: every record that a client may read, into one SQLite file; run again, only what changed.

    BROKER=http://127.0.0.1:8000 CLIENT_ID=cli_… CLIENT_SECRET=… python3 sync_job.py customers.db

It keeps each reading's last cursor and sends it next time; where a provider cannot go on from one, it reads all and
compares. Exit status 1 if a reading failed for other reasons than the user's own: the next run goes on where it ended.
"""

import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import requests

TABLES = """
CREATE TABLE IF NOT EXISTS places (reading TEXT PRIMARY KEY, cursor TEXT);
CREATE TABLE IF NOT EXISTS records (
    reading TEXT, id TEXT, type TEXT, body TEXT, hash TEXT, run INTEGER, PRIMARY KEY (reading, id));
"""
SKIPPED = {"insufficient_scope", "not_granted", "grant_withdrawn", "connection_revoked", "reconnect_required"}
"""What the user decided, or must mend: no reason to fail, nor to try again."""


class Broker:
    """The broker's API for one client; an access token is renewed as it ends."""

    def __init__(self, address: str, client_id: str, client_secret: str) -> None:
        self.address, self.client = address, (client_id, client_secret)
        self.http = requests.Session()

    def get(self, path: str, *, stream: bool = False, **parameters: Any) -> requests.Response:
        for fresh in (False, True):
            if fresh or "Authorization" not in self.http.headers:
                form = {"grant_type": "client_credentials"}
                token = self.http.post(f"{self.address}/oauth/token", data=form, auth=self.client, timeout=60)
                token.raise_for_status()
                self.http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            kind = {"Accept": "application/x-ndjson"} if stream else {}
            answer = self.http.get(f"{self.address}{path}", params=parameters, headers=kind, stream=stream, timeout=60)
            if answer.status_code != 401:
                break
        return answer

    def connections(self) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self.get("/v1/connections", state="active", cursor=cursor).json()
            yield from page["items"]
            if not (cursor := page["next_cursor"]):
                return


def readings(broker: Broker) -> Iterator[tuple[str, str, str | None]]:
    """(connection, connector, asset) of everything that was granted."""
    for connection in broker.connections():
        for grant in connection["grants"]:
            if grant["withdrawn_at"] is None and not grant["missing_scopes"]:
                for asset in grant["assets"] or [None]:
                    yield connection["id"], grant["connector"], asset and asset["id"]


def sync(broker: Broker, store: sqlite3.Connection, reading: tuple[str, str, str | None], run: int) -> int | None:
    """Read what is new, to the end; how many records changed, or None where nothing may be read."""
    connection, connector, asset = reading
    name, changed = json.dumps(reading), 0
    (cursor,) = store.execute("SELECT cursor FROM places WHERE reading = ?", (name,)).fetchone() or (None,)
    whole = cursor is None
    while True:
        path = f"/v1/connections/{connection}/records/{connector}"
        with broker.get(path, stream=True, asset=asset, cursor=cursor) as answer:
            if answer.status_code != 200:
                problem = json.loads(answer.content)
                if problem["code"] in SKIPPED:
                    return None
                raise RuntimeError(f"{connector}: {problem['code']}: {problem['detail']}")
            whole = whole or answer.headers["Broker-Reset"] == "true"
            last: dict[str, Any] | None = None
            for line in answer.iter_lines():
                if last is not None:
                    changed += keep(store, name, last, run)
                last = json.loads(line)
        if last is None or "has_more" not in last:
            raise RuntimeError(f"{connector}: the answer broke off")
        cursor = last["next_cursor"]
        store.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", (name, cursor))
        if "error" in last:
            store.commit()
            raise RuntimeError(f"{connector}: {last['error']['code']}: {last['error']['detail']}")
        if not last["has_more"]:
            break
    if whole:  # what a whole reading did not show is there no more
        changed += store.execute("DELETE FROM records WHERE reading = ? AND run < ?", (name, run)).rowcount
    store.commit()
    return changed


def keep(store: sqlite3.Connection, name: str, record: dict[str, Any], run: int) -> int:
    """One record, if it is another than the one that is there; 1 where it was."""
    if record["deleted"]:
        return store.execute("DELETE FROM records WHERE reading = ? AND id = ?", (name, record["id"])).rowcount
    body = json.dumps(record, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    known = store.execute("SELECT hash FROM records WHERE reading = ? AND id = ?", (name, record["id"])).fetchone()
    row = (name, record["id"], record["type"], body, digest, run)
    store.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)", row)
    return int(known is None or known[0] != digest)


def main(path: str) -> int:
    broker = Broker(os.environ["BROKER"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
    store = sqlite3.connect(path)
    store.executescript(TABLES)
    (run,) = store.execute("SELECT COALESCE(MAX(run), 0) + 1 FROM records").fetchone()
    failed = False
    for reading in readings(broker):
        label = " ".join(part for part in reading[1:] if part)
        try:
            changed = sync(broker, store, reading, run)
        except (RuntimeError, requests.RequestException) as error:
            failed = True
            print(f"{label}: failed, the next run goes on: {error}", file=sys.stderr)
        else:
            print(f"{label}: {'not readable now' if changed is None else f'{changed} changed'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
