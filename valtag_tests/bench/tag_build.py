"""The full build of one set of 31 tags, by valtag and by others, side by side.

Each contender has a process of its own, two threads, and writes its tags as Parquet. Before any time is shown,
all tags of all contenders are compared with the hand-written SQL, cell by cell: who computes something else is
refused. What a contender needs to start is measured on a tiny company, and taken off.
"""

import importlib.util
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.warehouse.quoting import quote
from valtag_tests.bench import graph_run
from valtag_tests.bench.company import CATALOG, UNTIL, Company
from valtag_tests.bench.process import Cost, WorkFailed, measured

SOURCES = ("members", "orders", "events")
REFERENCE = "SQL by hand, text tables"
LIMIT = "physical limit"
TINY = 1000
# Other work on the machine makes CPU seconds longer, never shorter: of small builds the best of three counts.
SMALL, ROUNDS = 100_000, 3


@dataclass(frozen=True)
class Contender:
    """``reads`` the company's text tables, or valtag's clean ones; ``needs`` a library that may be missing."""

    title: str
    module: str
    reads: str
    needs: str | None = None
    tags: bool = True


CONTENDERS = (
    Contender(LIMIT, "limit", "clean", tags=False),
    Contender("valtag", "valtag", "clean"),
    Contender(REFERENCE, "sql", "text"),
    Contender("SQL by hand, clean tables", "sql", "clean"),
    Contender("polars, lazy", "polars", "text", needs="polars"),
    Contender("pandas", "pandas", "text"),
    Contender("valtag on Spark local[2]", "spark", "clean", needs="pyspark"),
)


def contest(company: Company, names: list[str]) -> dict[str, Any]:
    """Every contender's cost, and what it took to write the clean tables; ``names`` picks some modules."""
    tiny = Company.of(company.data.parent / "tiny", TINY)
    cleaning = {item.data: clean_tables(item) for item in (tiny, company)}
    chosen = [item for item in CONTENDERS if not names or item.module in names]
    rows, results = [], dict[str, Path]()
    with tempfile.TemporaryDirectory(dir=company.data, prefix="contest-") as text:
        folder = Path(text)
        for number, contender in enumerate(chosen):
            refusal = _missing(contender)
            if refusal is None:
                try:
                    start = _build(contender, tiny, folder / f"{number}.tiny")
                    cost = _best(contender, company, folder / f"{number}")
                except WorkFailed as error:
                    refusal = str(error)
            if refusal is not None:
                rows.append({"contender": contender.title, "refused": refusal})
                continue
            rows.append({"contender": contender.title, "start": start.to_json(), **cost.to_json()})
            if contender.tags:
                results[contender.title] = folder / f"{number}"
        for row in rows:
            wrong = differences(results, row["contender"]) if row["contender"] in results else []
            if wrong:
                row["refused"] = f"computes something else: {'; '.join(wrong)}"
    _add_ratios(rows)
    return {
        "persons": company.persons,
        "order lines": company.lines_a_day * company.days,
        "events": company.events_a_day * company.days,
        "tags": 31,
        "clean tables": cleaning[company.data],
        "contenders": rows,
    }


def clean_tables(company: Company) -> dict[str, Any]:
    """Generate and clean the company's tables (unless they are there); the cost of cleaning, by table."""
    report = company.data / "clean.json"
    if not report.exists():
        company.generate()
        tables = [f"clean/{source}" for source in SOURCES]
        cost = measured(graph_run.__name__, [CATALOG, company.data, UNTIL.isoformat(), report, *tables])
        found = json.loads(report.read_text()) | cost.to_json()
        report.write_text(json.dumps(found, indent=2))
    found = json.loads(report.read_text())
    return {"cpu": found["cpu"], "peak_mb": found["peak_mb"], "tables": found["tables"]}


def inputs_of(company: Company, reads: str) -> dict[str, list[str]]:
    """The files a contender reads, by source."""
    if reads == "clean":
        from valtag_assets.engine.persons import clean_name
        from valtag_assets.warehouse.snapshot import TableRef
        from valtag_assets.warehouse.store import Warehouse

        warehouse = Warehouse(company.data / "warehouse" / "bench")
        snapshots = {source: warehouse.latest(TableRef.parse(clean_name(source))) for source in SOURCES}
        return {source: [str(file) for file in found.files] for source, found in snapshots.items() if found}
    tables = company.tables
    days = {source: sorted(map(str, (tables / source).glob("*.parquet"))) for source in ("orders", "events")}
    return {"members": [str(tables / "members.parquet")], **days}


def _missing(contender: Contender) -> str | None:
    package = f"valtag_tests.bench.contenders.{contender.module}"
    if contender.needs is not None and importlib.util.find_spec(contender.needs) is None:
        return f"{contender.needs} is not installed"
    if contender.module == "spark" and importlib.util.find_spec("valtag_assets.engine.spark") is None:
        return "valtag has no engine for Spark here"
    return None if importlib.util.find_spec(package) else f"there is no {package}"


def _best(contender: Contender, company: Company, into: Path) -> Cost:
    rounds = ROUNDS if company.persons <= SMALL else 1
    costs = [_build(contender, company, into)]
    costs += [_build(contender, company, into.with_name(f"{into.name}.{n}")) for n in range(1, rounds)]
    return min(costs, key=lambda cost: cost.cpu)


def _build(contender: Contender, company: Company, into: Path) -> Cost:
    return run_contender(contender.module, company, contender.reads, into)


def run_contender(
    module: str, company: Company, reads: str, into: Path, environment: dict[str, str] | None = None
) -> Cost:
    """One contender's build from the company's ``reads`` tables. Raises WorkFailed."""
    with tempfile.TemporaryDirectory(dir=company.data, prefix="spill-") as spill:
        inputs = Path(spill) / "inputs.json"
        inputs.write_text(json.dumps(inputs_of(company, reads)))
        arguments = [module, inputs, UNTIL.isoformat(), into, spill]
        return measured("valtag_tests.bench.contenders", arguments, environment)


def differences(results: dict[str, Path], title: str) -> list[str]:
    """The tags whose cells differ from the reference's, each with how many, and rows too many or too few."""
    with duckdb.connect() as connection:
        _view(connection, "expected", results[REFERENCE])
        _view(connection, "found", results[title])
        types = {row[0]: row[1] for row in connection.execute("DESCRIBE expected").fetchall()}
        names = {row[0] for row in connection.execute("DESCRIBE found").fetchall()}
        if names != types.keys():
            return [f"columns {sorted(names ^ types.keys())}"]
        tags = [name for name in types if name != "person_id"]
        counts = ", ".join(
            f"count(*) FILTER (e.{quote(tag)} IS DISTINCT FROM f.{quote(tag)}::{types[tag]})" for tag in tags
        )
        alone = "count(*) FILTER (e.person_id IS NULL OR f.person_id IS NULL)"
        query = f"SELECT {alone}, {counts} FROM expected e FULL JOIN found f USING (person_id)"
        row = connection.execute(query).fetchone()
        assert row is not None
    return [f"{name} {count:,}" for name, count in zip(["persons", *tags], row, strict=True) if count]


def _view(connection: duckdb.DuckDBPyConnection, name: str, result: Path) -> None:
    """A contender's table: one file, or a file for each category."""
    files = sorted(result.glob("*.parquet")) if result.is_dir() else [result]
    joined = connection.read_parquet(str(files[0]))
    for file in files[1:]:
        joined = joined.join(connection.read_parquet(str(file)), "person_id")
    joined.create_view(name)


def _add_ratios(rows: list[dict[str, Any]]) -> None:
    """CPU seconds of the build itself, and how many times those of the physical limit they are."""
    for row in _measured_rows(rows):
        row["build"] = round(max(row["cpu"] - row["start"]["cpu"], 0.01), 2)
    limit = next((row["build"] for row in rows if row["contender"] == LIMIT), None)
    own = next((row["build"] for row in rows if row["contender"] == "valtag" and "build" in row), None)
    for row in _measured_rows(rows):
        row["times the limit"] = round(row["build"] / limit, 1) if limit else None
        row["times valtag"] = round(row["build"] / own, 2) if own else None


def _measured_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if "refused" not in row)
