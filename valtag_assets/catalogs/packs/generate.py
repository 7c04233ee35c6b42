"""The seeded tables of a starter pack, as the company's systems would export them, dirt and all.

``shared.sql`` has what all packs share: random numbers, spellings, people. Each pack's own ``generate.sql`` makes
its tables in the schema ``raw``; every one of them becomes a CSV file of that name. Among a pack's dirt are several
spellings and formats, amounts in 分 beside 元, missing values, rows that came twice or late, and a few impossible
ones.
"""

from datetime import date
from pathlib import Path

import duckdb

from valtag_assets.warehouse.quoting import quote

PACKS = Path(__file__).parent
UNTIL = date(2026, 6, 30)
SCRIPT = "generate.sql"


def generate(pack: Path, into: Path, persons: int, seed: int) -> dict[str, int]:
    """Write the tables of the pack in the folder ``pack`` as ``into``/<table>.csv; returns the rows of each.

    ``persons``: 1 to 1,000,000. Equal arguments give equal bytes; the last day is ``UNTIL``. Raises ValueError for a
    size out of range.
    """
    if not 1 <= persons <= 1_000_000:
        raise ValueError(f"persons: 1 to 1,000,000, not {persons}")
    into.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for name, value in {"persons": persons, "until": UNTIL, "salt": seed * 7_919_000_003 % 2**60}.items():
            connection.execute(f"SET VARIABLE {quote(name)} = ?", [value])
        for script in (PACKS / "shared.sql", pack / SCRIPT):
            connection.execute(script.read_text(encoding="utf-8"))
        made = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' ORDER BY table_name"
        return {name: _export(connection, name, into) for (name,) in connection.execute(made).fetchall()}


def _export(connection: duckdb.DuckDBPyConnection, name: str, into: Path) -> int:
    written = connection.execute(
        f"COPY raw.{quote(name)} TO $path (FORMAT csv, HEADER)", {"path": str(into / f"{name}.csv")}
    ).fetchone()
    assert written is not None
    return int(written[0])
