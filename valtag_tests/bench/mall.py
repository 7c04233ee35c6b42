"""The mall at size: seconds, memory and ratios of every stage, in one run.

    python -m valtag_tests.bench.mall --persons 1000000 --days 400 --into data/bench

The bar for tags is a ratio measured in the same process: DuckDB's own time to read the columns that the tags
read, and to group each fact by person once (sum of numbers, maximum of the rest). It is taken for all
categories together, and for each category by itself.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

UNTIL = date(2026, 6, 30)
SEED = 7
ROUNDS = 3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--persons", type=int, default=1_000_000)
    options.add_argument("--days", type=int, default=400)
    options.add_argument("--into", type=Path, default=Path("data/bench"))
    options.add_argument("--json", type=Path, help="write the figures here too")
    chosen = options.parse_args()
    into = chosen.into.resolve()
    figures = {"persons": chosen.persons, **measure(into, chosen.persons, chosen.days)}
    show(figures)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False))


def measure(into: Path, persons: int, days: int) -> dict[str, Any]:
    """Generate (once), run the whole graph, then time each category against reading and grouping."""
    from valtag_assets.catalogs.mall.generate import generate
    from valtag_assets.graph.catalog import checked_catalog
    from valtag_assets.graph.home import dagster_home
    from valtag_assets.graph.setting import SHIPPED, Setting

    landing = into / "landing" / "mall"
    figures: dict[str, Any] = {}
    if not (landing / "raw").exists():
        figures["generate"], _ = timed(lambda: generate(landing, persons, days, SEED))
    setting = Setting(checked_catalog(SHIPPED / "mall"), into)
    # A home of the bench's own, set up like any other: no telemetry.
    os.environ.pop("DAGSTER_HOME", None)
    dagster_home(setting)
    figures["tables"] = run_graph(setting)
    figures["tags"] = compare_tags(setting)
    figures["peak memory MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures


def timed(what: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Wall and CPU seconds of one call, and what it gave."""
    wall, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    result = what()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": round(time.monotonic() - wall, 2), "cpu": round(cpu, 2)}, result


def run_graph(setting: Any) -> list[dict[str, Any]]:
    """Every table with its outcome and seconds, as Dagster ran it."""
    import dagster as dg

    from valtag_assets.definitions import build_definitions
    from valtag_assets.graph.jobs import DERIVE, INTAKE

    heard: list[Any] = []
    definitions = build_definitions(replace(setting, listen=heard.append))
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        for job, partition in ((INTAKE, None), (DERIVE, UNTIL.isoformat())):
            definitions.resolve_job_def(job).execute_in_process(
                instance=instance, partition_key=partition, raise_on_error=False, run_config=quiet
            )
    return [
        {"table": done.table, "outcome": done.outcome, "seconds": round(done.seconds, 2), "rows": done.rows}
        for done in heard
    ]


def compare_tags(setting: Any) -> list[dict[str, Any]]:
    """Per category and for all together: computing the tags against reading and grouping the same columns."""
    from valtag_assets.engine.duckdb import open_duckdb
    from valtag_assets.engine.persons import PERSONS, clean_name
    from valtag_assets.engine.tags import category_expression, tags_name
    from valtag_assets.warehouse.snapshot import TableRef

    resolved, warehouse = setting.resolved, setting.warehouse
    every: dict[str, set[str]] = defaultdict(set)
    rows = []
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        target = Path(folder) / "tags.parquet"
        for code, category in resolved.categories.items():
            keys = [PERSONS, *map(clean_name, category.sources), *map(tags_name, category.categories)]
            inputs = {key: warehouse.latest(TableRef.parse(key)).files for key in keys}
            expression = category_expression(resolved, category, UNTIL)
            ours = best(lambda e=expression, i=inputs: engine.write(e, i, target))
            columns: dict[str, set[str]] = defaultdict(set)
            for tag in category.tags:
                for source, field in tag.fields:
                    columns[source].add(field)
                    every[source].add(field)
            bare = best(lambda c=columns: read_and_group(engine.connection, resolved, warehouse, c))
            rows.append({"category": code, "tags": ours, "read and group": bare})
        once = best(lambda: read_and_group(engine.connection, resolved, warehouse, every))
    total = {unit: round(sum(row["tags"][unit] for row in rows), 2) for unit in ("wall", "cpu")}
    rows.append({"category": "all together", "tags": total, "read and group": once})
    for row in rows:
        row["ratio"] = {unit: round(row["tags"][unit] / max(row["read and group"][unit], 0.01), 2) for unit in total}
    return rows


def best(what: Callable[[], Any]) -> dict[str, float]:
    return min((timed(what)[0] for _ in range(ROUNDS)), key=lambda found: found["wall"])


def read_and_group(connection: Any, resolved: Any, warehouse: Any, columns: dict[str, set[str]]) -> None:
    """Each clean table once: sum of every number, maximum of every other column, by person."""
    from valtag_assets.engine.persons import clean_name
    from valtag_assets.warehouse.quoting import quote
    from valtag_assets.warehouse.reading import relation
    from valtag_assets.warehouse.snapshot import TableRef

    for source, fields in columns.items():
        spec = resolved.sources[source]
        snapshot = warehouse.latest(TableRef.parse(clean_name(source)))
        parts = [
            f"{'sum' if spec.columns[name].numeric else 'max'}({quote(name)})"
            for name in sorted(fields - {spec.spec.person})
        ]
        grouped = relation(connection, snapshot).aggregate(", ".join(parts or ["count(*)"]), quote(spec.spec.person))
        grouped.create_view("grouped", replace=True)
        connection.execute("CREATE OR REPLACE TEMP TABLE bench AS SELECT * FROM grouped").fetchall()


def show(figures: dict[str, Any]) -> None:
    console = Console()
    stages = Table(title=f"Graph, {figures['persons']:,} persons (Dagster included)")
    for name in ("table", "outcome", "seconds", "rows"):
        stages.add_column(name, justify="right" if name in ("seconds", "rows") else "left")
    for row in figures["tables"]:
        stages.add_row(row["table"], row["outcome"], f"{row['seconds']:.2f}", f"{row['rows'] or 0:,}")
    console.print(stages)
    tags = Table(title=f"Tags against reading and grouping the same columns (best of {ROUNDS})")
    for name in ("category", "tags wall", "cpu", "read and group wall", "cpu ", "ratio wall", "ratio cpu"):
        tags.add_column(name, justify="left" if name == "category" else "right")
    for row in figures["tags"]:
        cells = [row[part][unit] for part in ("tags", "read and group", "ratio") for unit in ("wall", "cpu")]
        tags.add_row(row["category"], *[f"{cell:.2f}" for cell in cells])
    console.print(tags)
    if "generate" in figures:
        console.print(f"generated in {figures['generate']['wall']} s ({figures['generate']['cpu']} CPU s)")
    console.print(f"peak memory {figures['peak memory MB']:,} MB")


if __name__ == "__main__":
    main()
