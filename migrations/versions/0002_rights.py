"""Rights carried through: signed receipts, the shred log, events, webhooks, portal, consent ledger"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "announcements",
        sa.Column("connection_id", sa.String(length=128), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "signature", name=op.f("pk_announcements")),
    )
    op.create_index(op.f("ix_announcements_at"), "announcements", ["at"], unique=False)
    op.create_table(
        "grant_assets",
        sa.Column("grant_id", sa.String(length=128), nullable=False),
        sa.Column("asset_index", sa.LargeBinary(), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_grant_assets_grant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("grant_id", "asset_index", name=op.f("pk_grant_assets")),
    )
    op.create_index("ix_grant_assets_asset", "grant_assets", ["app_id", "asset_index"], unique=False)
    op.create_table(
        "signing_keys",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("public", sa.JSON(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("generation", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("kid", name=op.f("uq_signing_keys_kid")),
    )
    op.add_column("revocations", sa.Column("provider", sa.String(length=128), nullable=True))
    op.add_column("revocations", sa.Column("connector", sa.String(length=128), nullable=True))
    op.add_column("revocations", sa.Column("criteria", sa.LargeBinary(), nullable=True))
    op.add_column("revocations", sa.Column("open", sa.Boolean(), nullable=True))
    op.add_column("revocations", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("revocations", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("revocations", sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("uq_revocations_open", "revocations", ["criteria", "open"], unique=True)
    op.create_index(
        "ix_revocation_items_pending",
        "revocation_items",
        ["revocation_id"],
        unique=False,
        postgresql_where=sa.text("provider_outcome = 'pending'"),
        sqlite_where=sa.text("provider_outcome = 'pending'"),
    )
    op.create_table(
        "portal_sessions",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("return_url", sa.String(length=2048), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("link_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_portal_sessions_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_sessions")),
        sa.UniqueConstraint("link_hash", name=op.f("uq_portal_sessions_link_hash")),
    )
    op.create_index(op.f("ix_portal_sessions_expires_at"), "portal_sessions", ["expires_at"], unique=False)
    op.create_index("ix_portal_sessions_subject", "portal_sessions", ["tenant", "subject"], unique=False)
    op.create_table(
        "event_endpoints",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("tenants", sa.JSON(), nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("secrets_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_by", sa.String(length=16), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_event_endpoints_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_endpoints")),
    )
    op.create_index(op.f("ix_event_endpoints_client_id"), "event_endpoints", ["client_id"], unique=False)
    op.create_table(
        "event_deliveries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("endpoint_id", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("lane", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("connection", sa.String(length=128), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event_deliveries")),
    )
    op.create_index("ix_event_deliveries_event", "event_deliveries", ["event_id", "endpoint_id"], unique=True)
    op.create_index("ix_event_deliveries_listing", "event_deliveries", ["endpoint_id", "seq"], unique=False)
    op.create_index(
        "ix_event_deliveries_pending",
        "event_deliveries",
        ["endpoint_id", "lane", "seq"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_event_deliveries_settled", "event_deliveries", ["settled_at"], unique=False)
    op.create_index("ix_event_deliveries_subject", "event_deliveries", ["tenant", "subject"], unique=False)
    op.create_table(
        "security_events",
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("jti_hash", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "jti_hash", name=op.f("pk_security_events")),
    )
    op.create_index(op.f("ix_security_events_expires_at"), "security_events", ["expires_at"], unique=False)
    op.create_table(
        "event_streams",
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_hash", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_event_streams")),
    )
    op.create_table(
        "token_fingerprints",
        sa.Column("connection_id", sa.String(length=128), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("whole", sa.LargeBinary(), nullable=False),
        sa.Column("beginning", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_token_fingerprints")),
    )
    op.create_index("ix_token_fingerprints_whole", "token_fingerprints", ["app_id", "whole"], unique=False)
    op.create_index("ix_token_fingerprints_beginning", "token_fingerprints", ["app_id", "beginning"], unique=False)
    op.create_table(
        "consent_texts",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_consent_texts")),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("grant_id", sa.String(length=128), nullable=False),
        sa.Column("connector", sa.String(length=128), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_connection", "consents", ["connection"], unique=False)
    op.create_index(op.f("ix_consents_grant_id"), "consents", ["grant_id"], unique=False)
    op.create_index("ix_consents_subject", "consents", ["tenant", "subject", "id"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("subject_hash", sa.String(length=64), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=True),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("revocation_id", sa.String(length=128), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sa.UniqueConstraint("tenant", "subject_hash", "open", name="uq_erasures_open"),
    )
    op.create_index("ix_erasures_subject", "erasures", ["tenant", "subject_hash"], unique=False)
    op.create_table(
        "owed_lines",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_owed_lines")),
        sa.UniqueConstraint("id", name=op.f("uq_owed_lines_id")),
    )
    op.create_table(
        "log_marks",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_log_marks")),
    )


def downgrade() -> None:
    op.drop_table("log_marks")
    op.drop_table("owed_lines")
    for table in ("erasures", "consents", "consent_texts"):
        op.drop_table(table)
    op.drop_index("ix_token_fingerprints_beginning", table_name="token_fingerprints")
    op.drop_index("ix_token_fingerprints_whole", table_name="token_fingerprints")
    op.drop_table("token_fingerprints")
    op.drop_table("event_streams")
    op.drop_index(op.f("ix_security_events_expires_at"), table_name="security_events")
    op.drop_table("security_events")
    for name in ("subject", "settled", "pending", "listing", "event"):
        op.drop_index(f"ix_event_deliveries_{name}", table_name="event_deliveries")
    op.drop_table("event_deliveries")
    op.drop_index(op.f("ix_event_endpoints_client_id"), table_name="event_endpoints")
    op.drop_table("event_endpoints")
    op.drop_index("ix_revocation_items_pending", table_name="revocation_items")
    op.drop_index("uq_revocations_open", table_name="revocations")
    for column in ("completed_at", "changed_at", "asked_at", "open", "criteria", "connector", "provider"):
        op.drop_column("revocations", column)
    op.drop_table("signing_keys")
    op.drop_index("ix_portal_sessions_subject", table_name="portal_sessions")
    op.drop_index(op.f("ix_portal_sessions_expires_at"), table_name="portal_sessions")
    op.drop_table("portal_sessions")
    op.drop_index("ix_grant_assets_asset", table_name="grant_assets")
    op.drop_table("grant_assets")
    op.drop_index(op.f("ix_announcements_at"), table_name="announcements")
    op.drop_table("announcements")
