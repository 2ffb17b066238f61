"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "authorizations",
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("telling_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("app_id", "account_index", name=op.f("pk_authorizations")),
    )
    op.create_table(
        "clients",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("tenants", sa.JSON(), nullable=False),
        sa.Column("connectors", sa.JSON(), nullable=False),
        sa.Column("return_urls", sa.JSON(), nullable=False),
        sa.Column("jwks", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
    )
    op.create_table(
        "connection_keys",
        sa.Column("dek_id", sa.LargeBinary(), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("tk_id", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dek_id", name=op.f("pk_connection_keys")),
        sa.UniqueConstraint("tenant", "connection", name=op.f("uq_connection_keys_tenant_connection")),
    )
    op.create_table(
        "connections",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("scoped_index", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=True),
        sa.Column("account", sa.LargeBinary(), nullable=True),
        sa.Column("account_version", sa.Integer(), nullable=False),
        sa.Column("requested_scopes", sa.JSON(), nullable=False),
        sa.Column("confirmed_scopes", sa.JSON(), nullable=False),
        sa.Column("granted_scopes", sa.JSON(), nullable=False),
        sa.Column("access_token", sa.LargeBinary(), nullable=True),
        sa.Column("refresh_token", sa.LargeBinary(), nullable=True),
        sa.Column("asset_tokens", sa.LargeBinary(), nullable=True),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("obtained_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refresh_inflight", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_access_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expiring_told", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sa.UniqueConstraint("tenant", "subject", "app_id", "account_index", "live", name="uq_connections_live"),
    )
    op.create_index("ix_connections_account", "connections", ["app_id", "account_index", "live"], unique=False)
    op.create_index("ix_connections_listing", "connections", ["tenant", "id"], unique=False)
    op.create_index("ix_connections_scoped", "connections", ["app_id", "scoped_index"], unique=False)
    op.create_index("ix_connections_subject", "connections", ["tenant", "subject", "id"], unique=False)
    op.create_table(
        "deletion_requests",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_deletion_requests")),
    )
    op.create_table(
        "duties",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duties")),
        sa.UniqueConstraint("kind", "key", "open", name="uq_duties_open"),
    )
    op.create_index(
        "ix_duties_due",
        "duties",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("open"),
        sqlite_where=sa.text("open"),
    )
    op.create_table(
        "key_checks",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("check_value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_key_checks")),
    )
    op.create_table(
        "orphans",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orphans")),
    )
    op.create_index("ix_orphans_account", "orphans", ["app_id", "account_index"], unique=False)
    op.create_table(
        "owed_shreds",
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("connection", sa.String(length=128), nullable=False),
        sa.Column("owed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "connection", name=op.f("pk_owed_shreds")),
    )
    op.create_table(
        "provider_apps",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=True),
        sa.Column("client_id", sa.String(length=512), nullable=False),
        sa.Column("client_secret", sa.LargeBinary(), nullable=True),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_apps")),
        sa.UniqueConstraint("tenant", "provider", "live", name="uq_provider_apps_live"),
        sa.UniqueConstraint("provider", "client_id", "live", name="uq_provider_apps_client"),
    )
    op.create_table(
        "provider_calls",
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "minute", name=op.f("pk_provider_calls")),
    )
    op.create_table(
        "provider_pauses",
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_provider_pauses")),
    )
    op.create_index(op.f("ix_provider_pauses_until"), "provider_pauses", ["until"], unique=False)
    op.create_table(
        "revocations",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("client_id", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_tenant"), "revocations", ["tenant"], unique=False)
    op.create_table(
        "tenant_keys",
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("tk_id", sa.LargeBinary(), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "generation", name=op.f("pk_tenant_keys")),
    )
    op.create_index(op.f("ix_tenant_keys_kid"), "tenant_keys", ["kid"], unique=False)
    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_access_tokens_client_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_access_tokens")),
    )
    op.create_index(op.f("ix_access_tokens_client_id"), "access_tokens", ["client_id"], unique=False)
    op.create_index(op.f("ix_access_tokens_expires_at"), "access_tokens", ["expires_at"], unique=False)
    op.create_table(
        "client_secrets",
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_client_secrets_client_id")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_client_secrets")),
    )
    op.create_index(op.f("ix_client_secrets_client_id"), "client_secrets", ["client_id"], unique=False)
    op.create_table(
        "connect_sessions",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("connectors", sa.JSON(), nullable=False),
        sa.Column("ticked", sa.JSON(), nullable=False),
        sa.Column("return_url", sa.String(length=2048), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("purpose", sa.String(length=500), nullable=True),
        sa.Column("privacy_url", sa.String(length=2048), nullable=True),
        sa.Column("tenant_label", sa.String(length=200), nullable=True),
        sa.Column("people", sa.LargeBinary(), nullable=True),
        sa.Column("renews", sa.String(length=128), nullable=True),
        sa.Column("account_index", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("ticket_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=True),
        sa.Column("state_hash", sa.LargeBinary(), nullable=True),
        sa.Column("state_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_scopes", sa.JSON(), nullable=False),
        sa.Column("flow", sa.LargeBinary(), nullable=True),
        sa.Column("flow_version", sa.Integer(), nullable=False),
        sa.Column("force_consent", sa.Boolean(), nullable=False),
        sa.Column("consent_text_hash", sa.String(length=64), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirm_code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("confirm_tries", sa.Integer(), nullable=False),
        sa.Column("exchange_began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connection_id", sa.String(length=128), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_connect_sessions_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connect_sessions")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_connect_sessions_state_hash")),
        sa.UniqueConstraint("ticket_hash", name=op.f("uq_connect_sessions_ticket_hash")),
    )
    op.create_index("ix_connect_sessions_account", "connect_sessions", ["app_id", "account_index"], unique=False)
    op.create_index(
        "ix_connect_sessions_subject",
        "connect_sessions",
        ["tenant", "subject", "app_id", "created_at"],
        unique=False,
    )
    op.create_index(op.f("ix_connect_sessions_expires_at"), "connect_sessions", ["expires_at"], unique=False)
    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("connection_id", sa.String(length=128), nullable=False),
        sa.Column("connector", sa.String(length=128), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("assets", sa.LargeBinary(), nullable=True),
        sa.Column("assets_version", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("consent_text_hash", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("purpose", sa.String(length=500), nullable=True),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name=op.f("fk_grants_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("connection_id", "connector", "live", name="uq_grants_live"),
    )
    op.create_index("ix_grants_connection", "grants", ["connection_id"], unique=False)
    op.create_table(
        "revocation_items",
        sa.Column("revocation_id", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.String(length=128), nullable=False),
        sa.Column("ended", sa.String(length=16), nullable=False),
        sa.Column("connector", sa.String(length=128), nullable=True),
        sa.Column("provider", sa.String(length=128), nullable=False),
        sa.Column("provider_outcome", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("shredded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["revocation_id"], ["revocations.id"], name=op.f("fk_revocation_items_revocation_id")),
        sa.PrimaryKeyConstraint("revocation_id", "number", name=op.f("pk_revocation_items")),
    )
    op.create_index(op.f("ix_revocation_items_connection_id"), "revocation_items", ["connection_id"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("tenant", sa.String(length=128), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("subject_hash", sa.String(length=64), nullable=True),
        sa.Column("connection", sa.String(length=128), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "seq", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_entries_id")),
    )
    op.create_index("ix_audit_entries_tenant_id", "audit_entries", ["tenant", "id"], unique=False)
    op.create_index("ix_audit_entries_connection", "audit_entries", ["connection", "id"], unique=False)
    op.create_index("ix_audit_entries_subject", "audit_entries", ["tenant", "subject", "id"], unique=False)
    op.create_table(
        "access_counts",
        sa.Column("connection_id", sa.String(length=128), nullable=False),
        sa.Column("connector", sa.String(length=128), nullable=False),
        sa.Column("resource", sa.String(length=128), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "connection_id", "connector", "resource", "client_id", "hour", name=op.f("pk_access_counts")
        ),
    )
    op.create_table(
        "client_assertions",
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("jti_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti_hash", name=op.f("pk_client_assertions")),
    )
    op.create_index(op.f("ix_client_assertions_expires_at"), "client_assertions", ["expires_at"], unique=False)
    op.create_table(
        "idempotent_answers",
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key_hash", name=op.f("pk_idempotent_answers")),
        sa.UniqueConstraint("id", name=op.f("uq_idempotent_answers_id")),
    )
    op.create_index(op.f("ix_idempotent_answers_expires_at"), "idempotent_answers", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_idempotent_answers_expires_at"), table_name="idempotent_answers")
    op.drop_table("idempotent_answers")
    op.drop_index(op.f("ix_client_assertions_expires_at"), table_name="client_assertions")
    op.drop_table("client_assertions")
    op.drop_table("access_counts")
    op.drop_index("ix_audit_entries_subject", table_name="audit_entries")
    op.drop_index("ix_audit_entries_connection", table_name="audit_entries")
    op.drop_index("ix_audit_entries_tenant_id", table_name="audit_entries")
    op.drop_table("audit_entries")
    op.drop_table("audit_heads")
    op.drop_index(op.f("ix_revocation_items_connection_id"), table_name="revocation_items")
    op.drop_table("revocation_items")
    op.drop_index("ix_grants_connection", table_name="grants")
    op.drop_table("grants")
    op.drop_index(op.f("ix_connect_sessions_expires_at"), table_name="connect_sessions")
    op.drop_index("ix_connect_sessions_subject", table_name="connect_sessions")
    op.drop_index("ix_connect_sessions_account", table_name="connect_sessions")
    op.drop_table("connect_sessions")
    op.drop_index(op.f("ix_client_secrets_client_id"), table_name="client_secrets")
    op.drop_table("client_secrets")
    op.drop_index(op.f("ix_access_tokens_expires_at"), table_name="access_tokens")
    op.drop_index(op.f("ix_access_tokens_client_id"), table_name="access_tokens")
    op.drop_table("access_tokens")
    op.drop_index(op.f("ix_tenant_keys_kid"), table_name="tenant_keys")
    op.drop_table("tenant_keys")
    op.drop_index(op.f("ix_revocations_tenant"), table_name="revocations")
    op.drop_table("revocations")
    op.drop_index(op.f("ix_provider_pauses_until"), table_name="provider_pauses")
    op.drop_table("provider_pauses")
    op.drop_table("provider_calls")
    op.drop_table("provider_apps")
    op.drop_table("owed_shreds")
    op.drop_index("ix_orphans_account", table_name="orphans")
    op.drop_table("orphans")
    op.drop_table("key_checks")
    op.drop_index("ix_duties_due", table_name="duties", postgresql_where=sa.text("open"), sqlite_where=sa.text("open"))
    op.drop_table("duties")
    op.drop_table("deletion_requests")
    op.drop_index("ix_connections_subject", table_name="connections")
    op.drop_index("ix_connections_scoped", table_name="connections")
    op.drop_index("ix_connections_listing", table_name="connections")
    op.drop_index("ix_connections_account", table_name="connections")
    op.drop_table("connections")
    op.drop_table("connection_keys")
    op.drop_table("clients")
    op.drop_table("authorizations")
