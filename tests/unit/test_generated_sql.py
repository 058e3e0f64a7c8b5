"""The texts that the books say to a database are those that their source makes."""

from gateway.ledger.generate import generated
from gateway.ledger.statements import SQL


def test_the_files_hold_what_wording_and_migrations_say() -> None:
    """After a change of either: `python -m gateway.ledger.generate`."""
    assert {path.name: path.read_text(encoding="utf-8") for path in SQL.iterdir()} == generated()
