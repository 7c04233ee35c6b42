"""The rows of one person, picked out of clean tables whose key is text or a whole number."""

from datetime import date
from pathlib import Path

import pytest

from valtag_assets.engine import explain as rests
from valtag_assets.engine.persons import clean_name
from valtag_assets.engine.session import COMPILERS, compile_sql
from valtag_assets.expression.resolved import Resolved
from valtag_tests import kit

AS_OF = date(2024, 2, 29)
TAGS = kit.category(
    "t",
    kit.tag("spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount", "where": "channel = 'app'"}),
    kit.tag("last_brand", "text", {"fact": "orders", "agg": "last", "of": "brand"}),
    kit.tag("top_brands", "list(text)", {"fact": "orders", "agg": "top_k", "of": "brand", "ties": ["sum(amount)"]}),
    kit.tag("double_spend", "decimal(18,2)", "spend * 2"),
)


def catalog(folder: Path, kind: str = "text") -> Resolved:
    orders = kit.ORDERS.replace("{name: member, type: text}", f"{{name: member, type: {kind}}}")
    members = kit.MEMBERS.replace("{name: member, type: text}", f"{{name: member, type: {kind}}}")
    files = {"tags/t.yaml": TAGS, "sources/orders.yaml": orders, "sources/members.yaml": members}
    return kit.make_catalog(folder, files)


@pytest.mark.parametrize(
    ("kind", "keys", "person", "numbers"),
    [
        ("text", ["1", "01", "1"], "1", [0, 2]),
        ("text", ["it's", "陈 😀", "a' or '1'='1"], "a' or '1'='1", [2]),
        ("integer", [1, 10, 1], "1", [0, 2]),
        ("integer", [1, -10, 1], "-10", [1]),
        ("integer", [1, 10, 1], "01", []),
        ("integer", [1, 10, 1], "1.0", []),
        ("integer", [1, 10, 1], "", []),
        ("integer", [1, 10, 1], "9" * 30, []),
    ],
)
def test_the_rows_of_exactly_the_person_are_picked(
    tmp_path: Path, kind: str, keys: list[object], person: str, numbers: list[int]
) -> None:
    resolved = catalog(tmp_path / "catalog", kind)
    rows = [{"number": n, "member": key, "_file": "f", "_row": n} for n, key in enumerate(keys)]
    source = resolved.sources["orders"]
    clean = {clean_name("orders"): kit.write_clean(tmp_path, resolved, "orders", rows, parts=2)}
    found = kit.run(rests.own_rows(source, person, ["number"]), clean, tmp_path / "own.parquet")
    assert sorted(found["number"].to_pylist()) == numbers
    assert found.column_names == ["number", "member", "_file", "_row"]


@pytest.mark.parametrize("engine", sorted(COMPILERS))
def test_every_engine_has_the_expressions(tmp_path: Path, engine: str) -> None:
    resolved = catalog(tmp_path)
    source, tags = resolved.sources["orders"], resolved.tags
    expressions = [
        rests.merged_rows(source),
        rests.refused_rows(source, "a"),
        rests.tags_read(resolved, tags["double_spend"], "a", kept=True),
        rests.from_tags(tags["double_spend"], [tags["spend"]], AS_OF, kept=True),
        rests.like_person("a"),
    ]
    for code in ("spend", "last_brand", "top_brands"):
        aggregate = tags[code].aggregate
        assert aggregate is not None
        expressions += [rests.judged_rows(source, aggregate, AS_OF), rests.figures(source, tags[code], AS_OF)]
        for found in (rests.deciding_row(source, aggregate, AS_OF), rests.value_ranking(source, tags[code], AS_OF)):
            expressions += [] if found is None else [found]
    assert len(expressions) == 13
    for expression in expressions:
        assert "SELECT" in compile_sql(expression, engine)
