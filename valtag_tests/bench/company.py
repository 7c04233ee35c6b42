"""The tables of the company to measure with: clean, as text, one file a day, at any size.

Orders have two lines each. Every random number is a hash of one number made of (entity, column): DuckDB's hash
of two arguments combines them by XOR, which would make all columns the same.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from valtag_assets.catalogs.mall import vocabulary as words

UNTIL = date(2026, 6, 30)
CATALOG = Path(__file__).parent / "catalog"
_PARQUET = "(FORMAT parquet, COMPRESSION zstd)"

_MACROS = """
CREATE MACRO draw(i, k) AS (hash(i * 100 + k) >> 11)::DOUBLE / 9007199254740992;
CREATE MACRO whole(i, k, n) AS floor(draw(i, k) * n)::BIGINT;
CREATE MACRO one_of(items, i, k) AS items[whole(i, k, len(items)) + 1];
-- Some buy much more than others.
CREATE MACRO number(n, digits) AS lpad(n::VARCHAR, digits, '0');
CREATE MACRO member(i, k) AS 'M' || number(floor(pow(draw(i, k), 1.5) * getvariable('persons'))::BIGINT, 8);
CREATE MACRO instant(i, k) AS getvariable('day')::TIMESTAMP + to_milliseconds(whole(i, k, 86400000));
"""

_MEMBERS = """
SELECT 'M' || number(i, 8) AS member_no,
    CASE whole(i, 1, 10) WHEN 0 THEN NULL WHEN 1 THEN 'male' WHEN 2 THEN 'male' ELSE 'female' END AS gender,
    CASE WHEN draw(i, 2) < 0.9 THEN DATE '1955-01-01' + whole(i, 3, 18000)::INTEGER END AS birth_date,
    one_of(getvariable('cities'), i, 4) AS city,
    one_of(getvariable('channels'), i, 5) AS channel,
    TIMESTAMP '2023-01-01' + to_seconds(whole(i, 6, 100000000)) AS registered_at,
    one_of(['普通会员', '普通会员', '银卡会员', '金卡会员'], i, 7) AS level
FROM range(getvariable('persons')) AS persons (i)
"""

# o numbers orders, l lines, over all days.
_ORDERS = """
SELECT strftime(getvariable('day'), '%Y%m%d') || number(o % 10000000, 12) AS order_id,
    line AS line_no,
    member(o, 1) AS member_no,
    instant(o, 2) AS ordered_at,
    one_of(getvariable('channels'), o, 3) AS channel,
    one_of(getvariable('brands'), if(draw(l, 4) < 0.5, hash(member(o, 1)) % 1000000007, l)::BIGINT, 5) AS brand,
    one_of(getvariable('categories'), l, 6) AS category,
    (1 + whole(l, 7, 3))::INTEGER AS quantity,
    (if(draw(o, 8) >= 0.96, -1, 1) * (500 + whole(l, 9, 60000)) / 100)::DECIMAL(18, 2) AS amount,
    CASE WHEN draw(o, 8) < 0.9 THEN 'paid' WHEN draw(o, 8) < 0.96 THEN 'cancelled' ELSE 'refunded' END AS status
FROM (
    SELECT getvariable('day_no')::BIGINT * 10000000 + n AS o, unnest([1, 2]) AS line, o * 2 + line AS l
    FROM range(getvariable('lines') // 2) AS orders (n)
)
ORDER BY ordered_at, order_id, line_no
"""

_EVENTS = """
SELECT strftime(getvariable('day'), '%Y%m%d') || number(e % 10000000, 12) AS event_id,
    member(e, 11) AS member_no,
    instant(e, 12) AS happened_at,
    one_of(['visit', 'visit', 'page_view', 'page_view', 'page_view', 'click', 'search'], e, 13) AS event_type,
    CASE WHEN event_type <> 'visit' THEN one_of(getvariable('categories'), e, 14) END AS category,
    one_of(getvariable('channels'), e, 15) AS channel,
    (whole(e, 16, 180000) / 1000)::DECIMAL(12, 3) AS dwell_seconds
FROM (SELECT getvariable('day_no')::BIGINT * 10000000 + n AS e FROM range(getvariable('events')) AS events (n))
ORDER BY happened_at, event_id
"""


@dataclass(frozen=True)
class Company:
    """One company in one data folder: its size, and where its tables lie."""

    data: Path
    persons: int
    days: int
    lines_a_day: int
    events_a_day: int

    @classmethod
    def of(cls, data: Path, persons: int, days: int = 365, each: int = 10) -> "Company":
        """``each`` order lines and events a person, spread evenly over the ``days`` that end with UNTIL."""
        a_day = max(persons * each // days // 2 * 2, 2)
        return cls(data, persons, days, a_day, a_day)

    @property
    def tables(self) -> Path:
        return self.data / "landing" / "bench"

    @property
    def first(self) -> date:
        return UNTIL - timedelta(days=self.days - 1)

    def generate(self) -> None:
        """Write what is missing: members, and the files of every day until UNTIL."""
        with self._drawing() as connection:
            if not (self.tables / "members.parquet").exists():
                _write(connection, _MEMBERS, self.tables / "members.parquet")
            for day in self._days():
                self._write_day(connection, day)

    def add_day(self, day: date) -> None:
        """The files of one more day."""
        with self._drawing() as connection:
            self._write_day(connection, day)

    def _days(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(self.days))

    def _drawing(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={"threads": 2})
        connection.execute(_MACROS)
        values = {
            "persons": self.persons,
            "lines": self.lines_a_day,
            "events": self.events_a_day,
            "cities": [item.name for item in words.CITIES],
            "channels": [item.code for item in words.CHANNELS],
            "brands": [name for name, _ in words.BRANDS],
            "categories": [item[0] for item in words.CATEGORIES],
        }
        for name, value in values.items():
            connection.execute(f"SET VARIABLE {name} = ?", [value])
        return connection

    def _write_day(self, connection: duckdb.DuckDBPyConnection, day: date) -> None:
        connection.execute("SET VARIABLE day = ?", [day])
        connection.execute("SET VARIABLE day_no = ?", [day.toordinal()])
        for table, query in (("orders", _ORDERS), ("events", _EVENTS)):
            path = self.tables / table / f"{day}.parquet"
            if not path.exists():
                _write(connection, query, path)


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".writing")
    connection.execute(f"COPY ({query}) TO $path {_PARQUET}", {"path": str(partial)})
    os.replace(partial, path)
