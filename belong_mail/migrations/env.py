"""Alembic's environment: runs on the connection it is handed, in that transaction."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    render_as_batch=True,
    target_metadata=context.config.attributes["metadata"],
)
context.run_migrations()
