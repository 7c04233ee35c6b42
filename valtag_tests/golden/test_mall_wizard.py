"""valtag new tag --all on the mall's sources: a catalog that checks and computes, and is right."""

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import keyed_names
from valtag_assets.engine.tags import category_expression, tags_name
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.setting import SHIPPED
from valtag_assets.wizard.proposing import Question, answer
from valtag_tests.golden.published import Published

PAID = "SELECT person_id, {what} FROM paid WHERE order_time::DATE > DATE '2026-06-30' - {days} GROUP BY 1"
TRUE = {
    "spend_90d": ("transaction", PAID.format(what="sum(amount)", days=90), 0),
    "order_count": ("transaction", PAID.format(what="count(DISTINCT order_id)", days=9999), 0),
    "days_since_last_order": (
        "lifecycle",
        "SELECT person_id, DATE '2026-06-30' - max(order_time::DATE) FROM paid GROUP BY 1",
        None,
    ),
    "page_view_count": (
        "behavior",
        "SELECT person_id, count(*) FROM events WHERE event_type = 'page_view' GROUP BY 1",
        0,
    ),
    "city": ("attribute", "SELECT person_id, city FROM persons", None),
    "event_category_count": ("interest", "SELECT person_id, count(DISTINCT category) FROM events GROUP BY 1", 0),
}


def test_a_whole_catalog_is_proposed_checks_computes_and_is_right(
    mall: Published, truth: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    catalog = tmp_path / "mall"
    shutil.copytree(SHIPPED / "mall" / "sources", catalog / "sources")
    shutil.copy(SHIPPED / "mall" / "identity.yaml", catalog)
    text = (SHIPPED / "mall" / "project.yaml").read_text(encoding="utf-8")
    (catalog / "project.yaml").write_text(text.partition("# How people can be reached")[0], encoding="utf-8")
    setting = replace(mall.setting, resolved=resolve_catalog(catalog))
    found = answer(setting, Question(as_of=mall.as_of))
    found.draft.write()
    resolved = resolve_catalog(catalog)
    assert set(resolved.tags) == set(found.columns) and 40 <= len(found.proposals) <= 70
    assert found.dropped["visit_count"].startswith("redundant with session_count")
    assert found.dropped["heartbeat_count"] == "all persons with a value have the same one"
    recency = found.judged["days_since_last_order"].separation
    assert recency is not None and recency.auc is not None and recency.auc.high < 0.4, "who bought lately buys again"
    names = [*keyed_names(resolved, resolved.sources), "identity/persons"]
    inputs = {name: mall.snapshot(name).files for name in names}
    with open_duckdb(tmp_path) as engine:
        for code, category in resolved.categories.items():
            assert not category.categories, f"{code} reads other categories"
            engine.write(category_expression(resolved, category, mall.as_of), inputs, tmp_path / f"{code}.parquet")
    for column, (category, query, nothing) in TRUE.items():
        table = pq.read_table(tmp_path / f"{category}.parquet", columns=["person_id", column]).to_pylist()
        expected = dict(truth.execute(query).fetchall())
        ours = {row["person_id"]: row[column] for row in table}
        assert ours == {person: expected.get(person, nothing) for person in ours}, (column, tags_name(category))
