"""Audiences: ``python -m valtag_tests.bench.audiences --persons 1000000 --into data/bench``.

* all rules in one statement, against the same rules as one hand-written DuckDB query and in polars: equal answers;
* previews of one rule, as ``valtag segment preview`` computes them (the best of some: other work only adds);
* the audiences as a run makes them, audited and published, each an asset of its own.

Persons, tags and order lines are made; each person has ten lines within a year.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl

from valtag_assets.console.preview import preview_rule
from valtag_assets.definitions import build_definitions
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.segments import matches_expression
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.jobs import DERIVE
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import UNSAID
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.bench.process import machine, write_json

AS_OF = date(2024, 6, 30)
RULES, LINES = 200, 10
TITLE = "title: {zh: 人群, en: Audience}"
FILES = {
    "project.yaml": ["name: bench", TITLE, "start: 2024-01-01"],
    "sources/members.yaml": [
        *("source: members", TITLE, "kind: master", "person: member", "read: {path: members.csv}", "fields:"),
        *("  - {name: member, type: text}", "  - {name: city, type: text}", "  - {name: age, type: integer}"),
        '  - {name: points, type: "decimal(18,2)"}',
    ],
    "sources/orders.yaml": [
        *("source: orders", TITLE, "kind: fact", "person: member", "time: paid_at", "read: {path: orders.csv}"),
        *("fields:", "  - {name: member, type: text}", "  - {name: paid_at, type: timestamp}"),
        *('  - {name: amount, type: "decimal(18,2)"}', "  - {name: brand, type: text}"),
    ],
    "tags/attribute.yaml": [
        *("category: attribute", TITLE, "tags:"),
        *(
            f'  - {{code: {name}, {TITLE}, type: "{kind}", value: {{master: members, of: {name}}}}}'
            for name, kind in (("city", "text"), ("age", "integer"), ("points", "decimal(18,2)"))
        ),
    ],
}
TABLES = {
    "identity/persons": "select 'P' || lpad(i::varchar, 8, '0') as person_id from range({persons}) r(i) order by 1",
    "tags/attribute": """
        select 'P' || lpad(i::varchar, 8, '0') as person_id, 'city' || hash(i * 1000 + 1) % 300 as city,
            (18 + hash(i * 1000 + 2) % 60)::bigint as age,
            ((hash(i * 1000 + 3) % 1000000) / 100)::decimal(18,2) as points
        from range({persons}) r(i) order by 1""",
    "clean/orders": """
        select 'P' || lpad((hash(i * 1000 + 4) % {persons})::varchar, 8, '0') as member,
            timestamp '2024-06-30 23:59:59' - to_seconds((hash(i * 1000 + 5) % 31536000)::bigint) as paid_at,
            ((hash(i * 1000 + 6) % 50000) / 100)::decimal(18,2) as amount,
            'brand' || hash(i * 1000 + 7) % 100 as brand, 'made' as _file, i as _row
        from range({persons} * 10) r(i) order by 1, 2""",
}


@dataclass(frozen=True)
class Kind:
    """One kind of rule, by a number that makes each another: valtag's text, SQL over a person's row, polars."""

    valtag: str
    sql: str
    polars: Callable[[int], pl.Expr]
    measures: str = ""  # SQL of what is measured of a person's orders
    lines: Callable[[int], pl.Expr] | None = None


def _recent(days: int) -> pl.Expr:
    return (pl.lit(AS_OF) - pl.col("paid_at").dt.date()).dt.total_days() < days


KINDS = (
    Kind("city = 'city{n}'", "city = 'city{n}'", lambda n: pl.col("city") == f"city{n}"),
    Kind(
        "age between {low} and 40 and points > {n}",
        "age between {low} and 40 and points > {n}",
        lambda n: pl.col("age").is_between(18 + n % 20, 40) & (pl.col("points") > n),
    ),
    Kind(
        "did_not(orders, within {days}d)",
        "coalesce(m{n}, 0) = 0",
        lambda n: pl.col(f"m{n}").fill_null(0) == 0,
        "count(*) filter (paid_at::date > date '2024-06-30' - {days})",
        lambda n: _recent(1 + n % 90).sum(),
    ),
    Kind(
        "city != 'city{n}' and did(orders, sum(amount) at least {n}, within {days}d, where brand != 'brand{brand}')",
        "city != 'city{n}' and coalesce(m{n}, 0) >= {n}",
        lambda n: (pl.col("city") != f"city{n}") & (pl.col(f"m{n}").fill_null(0) >= n),
        "sum(amount) filter (paid_at::date > date '2024-06-30' - {days} and brand != 'brand{brand}')",
        lambda n: pl.col("amount").filter(_recent(1 + n % 90) & (pl.col("brand") != f"brand{n % 100}")).sum(),
    ),
)
PREVIEWS = (
    "age between 18 and 25 and city = 'city7'",
    "age between 18 and 25 and city = 'city7' and did_not(orders, within 30d)",
    "did(orders, sum(amount) at least 500, within 90d, where brand = 'brand7') and points > 100",
)


def kind_of(number: int) -> Kind:
    """Three quarters of the rules read tags alone."""
    return KINDS[(0, 1, 0, 2, 1, 0, 1, 3)[number % 8]]


def said(text: str, number: int) -> str:
    """A text with the values of one rule."""
    return text.format(n=number, low=18 + number % 20, days=1 + number % 90, brand=number % 100)


def setting_of(folder: Path, persons: int, rules: int) -> Setting:
    """The catalog, with its tables published as runs would have."""
    segments = [f'  - {{code: a{n}, {TITLE}, rule: "{said(kind_of(n).valtag, n)}"}}' for n in range(rules)]
    for name, lines in {**FILES, "segments/audiences.yaml": ["segments:", *segments]}.items():
        path = folder / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    setting = Setting(resolve_catalog(folder / "catalog"), folder / "data")
    if not setting.warehouse.tables():
        with duckdb.connect() as connection:
            for key, query in TABLES.items():
                _publish(setting, TableRef.parse(key), connection.sql(query.format(persons=persons)))
    return setting


def _publish(setting: Setting, table: TableRef, rows: duckdb.DuckDBPyRelation) -> None:
    with setting.warehouse.staging(table) as staged:
        rows.write_parquet(str(staged.path / "part-0.parquet"), compression="zstd")
        setting.warehouse.publish(
            staged,
            as_of=AS_OF if table.stage == "tags" else None,
            known_at=datetime(2024, 7, 1, tzinfo=UTC),
            input_hash="made",
            catalog_hash="made",
            run_id="bench",
            data_until=None,
            inputs={},
            verdicts=(),
            metrics={},
            key=("person_id",) if table.stage != "clean" else (),
        )


def files_of(setting: Setting) -> dict[str, list[Path]]:
    """The Parquet files of the made tables."""
    found = {}
    for key in TABLES:
        snapshot = setting.warehouse.latest(TableRef.parse(key))
        assert snapshot is not None
        found[key] = list(snapshot.files)
    return found


def by_valtag(setting: Setting, rules: int, into: Path) -> None:
    segments = [setting.resolved.segments[f"a{n}"] for n in range(rules)]
    with open_duckdb(setting.spill) as engine:
        engine.write(matches_expression(setting.resolved, segments, AS_OF), files_of(setting), into)


def by_sql(setting: Setting, rules: int, into: Path) -> None:
    """What a good analyst would write: one group-by over the orders, one join, one row of answers per person."""
    numbers = [n for n in range(rules) if kind_of(n).measures]
    measures = ", ".join(f"{said(kind_of(n).measures, n)} as m{n}" for n in numbers) or "count(*) as m"
    answers = ", ".join(f"coalesce({said(kind_of(n).sql, n)}, false) as a{n}" for n in range(rules))
    with duckdb.connect() as connection:
        for key, files in files_of(setting).items():
            connection.read_parquet([str(file) for file in files]).create_view(key.split("/")[1])
        connection.sql(
            f"select person_id, {answers} from persons left join attribute using (person_id) left join"
            f" (select member as person_id, {measures} from orders group by member) using (person_id) order by 1"
        ).write_parquet(str(into), compression="zstd")


def by_polars(setting: Setting, rules: int, into: Path) -> None:
    files = files_of(setting)
    persons, tags, orders = (pl.scan_parquet(files[key]) for key in TABLES)
    numbers = [(n, kind_of(n).lines) for n in range(rules)]
    lines = orders.group_by("member").agg([of(n).alias(f"m{n}") for n, of in numbers if of is not None])
    table = persons.join(tags, on="person_id", how="left").join(
        lines, left_on="person_id", right_on="member", how="left"
    )
    answers = [kind_of(n).polars(n).fill_null(False).alias(f"a{n}") for n in range(rules)]
    table.select("person_id", *answers).sort("person_id").collect(engine="streaming").write_parquet(into)


CONTENDERS = {"valtag": by_valtag, "hand-written SQL": by_sql, "polars": by_polars}


def rule_contest(setting: Setting, folder: Path, rules: int, rounds: int = 2) -> dict[str, Any]:
    """Seconds and CPU seconds of each way, the best of some rounds; AssertionError when answers differ."""
    found: dict[str, Any] = {}
    for name, work in CONTENDERS.items():
        into = folder / f"{name.replace(' ', '_')}.parquet"
        costs = []
        for _ in range(rounds):
            wall, cpu = time.monotonic(), time.process_time()
            work(setting, rules, into)
            costs.append((time.process_time() - cpu, time.monotonic() - wall))
        found[name] = {"CPU s": round(min(costs)[0], 2), "wall s": round(min(wall for _, wall in costs), 2)}
    counts = {name: sizes(folder / f"{name.replace(' ', '_')}.parquet", rules) for name in CONTENDERS}
    assert len(set(counts.values())) == 1, counts
    return found


def sizes(file: Path, rules: int) -> tuple[int, ...]:
    """How many persons each rule holds for."""
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(file))
        row = table.aggregate(", ".join(f"sum(a{n}::int)" for n in range(rules))).fetchone()
    assert row is not None
    return tuple(row)


def assets(setting: Setting, rules: int) -> dict[str, Any]:
    """All audiences of one run, through Dagster: gates, one statement for all, audits, publications."""
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(setting).resolve_job_def(DERIVE)
        wall, cpu = time.monotonic(), time.process_time()
        result = job.execute_in_process(
            instance=instance,
            partition_key=str(AS_OF),
            asset_selection=[dg.AssetKey(["segments", f"a{n}"]) for n in range(rules)],
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    assert result.success
    return {"CPU s": round(time.process_time() - cpu, 1), "wall s": round(time.monotonic() - wall, 1)}


def measure(folder: Path, persons: int, rules: int) -> dict[str, Any]:
    """Every figure at one size."""
    setting = setting_of(folder, persons, rules)
    figures: dict[str, Any] = {"persons": persons, "order lines": persons * LINES, "rules": rules}
    figures["one statement"] = rule_contest(setting, folder, rules)
    figures["previews, ms in the engine"] = {
        text: min(preview_rule(setting, text, AS_OF, UNSAID).milliseconds for _ in range(3)) for text in PREVIEWS
    }
    figures["run of all audiences"] = assets(setting, rules)
    setting = setting_of(folder, persons, rules)
    figures["previews beside saved audiences, ms"] = {
        text: min(preview_rule(setting, text, AS_OF, UNSAID).milliseconds for _ in range(2)) for text in PREVIEWS[1:2]
    }
    return figures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--persons", type=int, default=100_000)
    options.add_argument("--rules", type=int, default=RULES)
    options.add_argument("--into", type=Path, default=Path("data/bench"))
    chosen = options.parse_args()
    folder = chosen.into.resolve() / f"audiences-{chosen.persons}-{chosen.rules}"
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"machine": machine(), **measure(folder, chosen.persons, chosen.rules)}
    write_json(folder / "audiences.json", figures)
    print((folder / "audiences.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
