"""Seconds of an inventory of one large Parquet file, beside DuckDB's own SUMMARIZE of it.

``python -m valtag_tests.bench.inventory [--rows 10000000]``. The file has eight columns: an order's id, its person, a
time, an amount, a quantity, a status, a city, and a phone number.
"""

import argparse
import tempfile
import time
from pathlib import Path

import duckdb

from valtag_tests.engine.inventory.stock import inventory_of

# One hash for each column: hash(i, 1) and hash(i, 2) would be the same numbers, shuffled by XOR.
QUERY = """
    select 'T' || lpad(cast(i as varchar), 10, '0') as order_id,
           'M' || lpad(cast(hash(i * 10 + 1) % 1000000 as varchar), 7, '0') as member_no,
           timestamp '2023-01-01' + to_seconds(cast(hash(i * 10 + 2) % 31536000 as bigint)) as ordered_at,
           cast(hash(i * 10 + 3) % 100000 / 100 as decimal(18, 2)) as amount,
           cast(1 + hash(i * 10 + 4) % 5 as integer) as quantity,
           ['paid', 'PAID', 'refunded', 'NULL'][cast(1 + hash(i * 10 + 5) % 4 as integer)] as status,
           ['上海', '北京', '成都', '广州', '杭州'][cast(1 + hash(i * 10 + 6) % 5 as integer)] as city,
           '13' || lpad(cast(hash(i * 10 + 7) % 1000000000 as varchar), 9, '0') as phone
    from range($rows) t(i)
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000_000)
    rows = options.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        file = Path(folder) / "orders.parquet"
        con.execute(f"copy ({QUERY}) to '{file}' (format parquet)", {"rows": rows})
        started = time.perf_counter(), time.process_time()
        con.execute(f"summarize select * from '{file}'").fetchall()
        _print("DuckDB summarize", started)
        started = time.perf_counter(), time.process_time()
        table = inventory_of(file).tables[0]
        _print("inventory", started)
        print(f"{table.rows:,} rows, {table.role.kind}: {table.role.reason.en}")


def _print(what: str, started: tuple[float, float]) -> None:
    print(f"{what}: {time.perf_counter() - started[0]:.1f} s, {time.process_time() - started[1]:.1f} CPU s")


if __name__ == "__main__":
    main()
