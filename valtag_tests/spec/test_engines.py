"""Which engine computes which table, and where Spark runs."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from valtag_assets.engine.portability import engine_mistakes
from valtag_assets.spec.engines import Engines
from valtag_tests import kit


def engines(written: object) -> Engines:
    return Engines.model_validate(written)


def test_one_word_is_the_engine_of_every_table() -> None:
    assert engines("spark") == Engines(default="spark")
    assert Engines().of("clean/orders") == "duckdb"


def test_a_table_has_the_engine_of_its_key_else_of_its_stage_else_the_default() -> None:
    found = engines({"tables": {"clean/*": "spark", "clean/shops": "duckdb"}})
    asked = ("clean/orders", "clean/shops", "tags/a")
    assert [found.of(table) for table in asked] == ["spark", "duckdb", "duckdb"]
    assert found.used == {"duckdb", "spark"}


def test_the_environment_speaks_for_all_tables() -> None:
    written = engines({"tables": {"clean/*": "spark"}, "master": "local[2]", "settings": {"spark.executor.cores": 2}})
    assert written.instead(None) is written
    assert written.instead("duckdb").used == {"duckdb"}
    assert written.instead("spark").master == "local[2]"
    far = written.instead("spark://10.0.0.1:7077")
    assert (far.of("tags/a"), far.master) == ("spark", "spark://10.0.0.1:7077")
    assert far.settings == {"spark.executor.cores": "2"}


@pytest.mark.parametrize(
    "written", ["flink", {"master": "http://x"}, {"tables": {"orders": "spark"}}, {"tables": {"clean/a": "x"}}]
)
def test_what_is_no_engine_no_place_or_no_table_is_a_mistake(written: object) -> None:
    with pytest.raises(ValidationError):
        engines(written)


def test_a_table_the_catalog_has_not_is_named(tmp_path: Path) -> None:
    resolved = kit.make_catalog(tmp_path, {})
    (problem,) = engine_mistakes(resolved, engines({"tables": {"clean/order": "spark", "clean/orders": "spark"}}))
    assert "'clean/order' is no table; did you mean 'clean/orders'?" in str(problem)


def test_a_pattern_spark_reads_otherwise_is_refused_where_spark_computes_and_nowhere_else(tmp_path: Path) -> None:
    field = "{name: brand, type: text, replace: [{pattern: '%s', by: x}]}"
    for pattern, why in ((r"(?i)acme", "flags"), (r"a*", "empty text")):
        orders = kit.ORDERS.replace("{name: brand, type: text}", field % pattern)
        resolved = kit.make_catalog(tmp_path, {"sources/orders.yaml": orders})
        assert engine_mistakes(resolved, Engines()) == []
        (problem,) = engine_mistakes(resolved, Engines(default="spark"))
        assert re.search(rf"orders\.yaml:\d+: .*{why}", str(problem))
