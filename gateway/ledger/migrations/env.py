"""What Alembic runs: it writes what the migrations say in one dialect; `gateway.ledger.migrate` says it."""

from alembic import context

attributes = context.config.attributes
context.configure(dialect_name=attributes["dialect"], output_buffer=attributes["output"])
context.run_migrations()
