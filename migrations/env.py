"""How Alembic reaches the database: over the connection that `broker.schema` has locked, or the configured URL."""

from alembic import context
from sqlalchemy import Connection, create_engine, pool

import broker.models  # noqa: F401 - fills the metadata
from broker.db import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool)
    with engine.connect() as made:
        run(made)
