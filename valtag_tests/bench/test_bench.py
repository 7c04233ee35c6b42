"""The bench itself: equal figures for equal work, and no figure for a contender that computes something else."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from valtag_assets.graph.catalog import checked_catalog
from valtag_tests.bench import audiences
from valtag_tests.bench.company import CATALOG, UNTIL, Company
from valtag_tests.bench.contenders import limit, pandas, polars, sql, valtag
from valtag_tests.bench.many_tags import write_catalog
from valtag_tests.bench.process import WorkFailed, measured
from valtag_tests.bench.tag_build import REFERENCE, differences, inputs_of


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Two hundred members, 40 days."""
    made = Company.of(tmp_path_factory.mktemp("company"), persons=200, days=40)
    made.generate()
    return made


@pytest.fixture(scope="module")
def results(company: Company, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every contender's tags, all from the text tables (these have no dirt, so they are clean, too)."""
    folder = tmp_path_factory.mktemp("tags")
    inputs = {table: [Path(file) for file in files] for table, files in inputs_of(company, "text").items()}
    found = {}
    for title, contender in ((REFERENCE, sql), ("valtag", valtag), ("polars", polars), ("pandas", pandas)):
        found[title] = folder / title
        contender.build(inputs, UNTIL, found[title], folder)
    limit.build(inputs, UNTIL, folder / "limit", folder)
    return found


@pytest.mark.parametrize("title", ["valtag", "polars", "pandas"])
def test_contenders_compute_equal_tags(results: dict[str, Path], title: str) -> None:
    assert differences(results, title) == []


def test_the_tags_are_not_all_empty(results: dict[str, Path]) -> None:
    filled = duckdb.read_parquet(str(results[REFERENCE]))
    counts = filled.aggregate(", ".join(f'count(DISTINCT "{name}")' for name in filled.columns)).fetchone()
    assert counts is not None and min(counts) > 1, dict(zip(filled.columns, counts, strict=True))


def test_a_contender_that_computes_something_else_is_told_where(results: dict[str, Path], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.parquet"
    rows = duckdb.read_parquet(str(results[REFERENCE]))
    rows.select("* REPLACE (CASE WHEN person_id = 'M00000007' THEN 'Atlantis' ELSE city END AS city)").write_parquet(
        str(wrong)
    )
    assert differences({**results, "wrong": wrong}, "wrong") == ["city 1"]
    rows.filter("person_id <> 'M00000007'").write_parquet(str(wrong))
    assert differences({**results, "wrong": wrong}, "wrong")[0] == "persons 1"


def test_another_day_has_as_many_rows_as_the_days_before(company: Company) -> None:
    company.add_day(date(2026, 7, 1))
    for table, rows in (("orders", company.lines_a_day), ("events", company.events_a_day)):
        file = company.tables / table / "2026-07-01.parquet"
        assert duckdb.read_parquet(str(file)).aggregate("count(*)").fetchone() == (rows,)
        file.unlink()


def test_a_generated_catalog_has_as_many_tags_as_asked_and_no_mistake(tmp_path: Path) -> None:
    resolved = checked_catalog(write_catalog(tmp_path / "catalog", 260))
    assert len(resolved.tags) == 260 and list(resolved.categories) == ["wide_0", "wide_1"]


def test_the_bench_catalog_has_no_mistake() -> None:
    assert len(checked_catalog(CATALOG).tags) == 31


def test_work_is_charged_for_and_a_failure_is_no_figure() -> None:
    assert measured("timeit", ["-n", "1", "-r", "1", "sum(range(3_000_000))"]).cpu > 0
    with pytest.raises(WorkFailed, match="exit"):
        measured("no_such_module", [])


def test_rules_in_every_form_of_the_bench_find_as_many(tmp_path: Path) -> None:
    setting = audiences.setting_of(tmp_path, 2_000, 16)
    audiences.rule_contest(setting, tmp_path, 16, rounds=1)
    found = audiences.sizes(tmp_path / "valtag.parquet", 16)
    assert sum(0 < size < 2_000 for size in found) >= 12
