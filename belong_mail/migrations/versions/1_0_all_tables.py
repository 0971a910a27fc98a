"""Begin at version 1.0: `db upgrade` makes a new database from the models, and stamps it."""

revision = "1.0"
down_revision = None
