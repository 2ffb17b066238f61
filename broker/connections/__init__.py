"""The life of a connection: begin, complete, confirm, use, refresh, revoke. One module a verb.

sales app ── begin ──► session ── browser: approve ──► provider ──► complete (code sealed, unspent)
sales app ── confirm ──► code exchanged, account and scopes checked ──► connection and grants
sync job  ── use ──► state and grant read, token fresh (refresh) ──► one provider call
anybody entitled ── revoke ──► denied here at once ──► duty: the provider is told ──► shredded
"""
