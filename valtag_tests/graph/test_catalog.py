"""What only the engine or the audit could refuse is found by the check of the catalog, with file and line."""

from pathlib import Path

import pytest

from valtag_assets.graph.catalog import checked_catalog
from valtag_assets.spec.problem import CatalogError
from valtag_tests.graph.shop import FILES, Shop

BAD = [
    ("sources/orders.yaml", "type: timestamp", "type: timestamp, formats: [YYY-MM-DD]", "YYY"),
    ("sources/orders.yaml", "type: timestamp", "type: timestamp, formats: [YY-MM-DD]", "two_digit_years"),
    ("sources/orders.yaml", "from: order_id,", "from: order_id, replace: {pattern: '(?=x)'},", "can't read it"),
    (
        "sources/orders.yaml",
        "checks: {max",
        "drop: [{name: old, where: days_since(ordered_at) > 9}]\nchecks: {max",
        "as-of",
    ),
    ("sources/orders.yaml", "bounds: {min: 0}", "unit: {to: CNY, factor: cheap}", "no number"),
    ("tags/attribute.yaml", "coverage: 0.9", "mean_change: 0.9", "mean_change is for"),
    ("tags/attribute.yaml", "coverage: 0.9", "matches: '(?=x)'", "can't read it"),
    (
        "tags/transaction.yaml",
        "type: integer\n    value: {fact: orders, agg: count}",
        "type: integer\n    domain: {values: [many]}\n    value: {fact: orders, agg: count}",
        "'many' is no integer",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "says"), BAD, ids=[case[3] for case in BAD])
def test_a_rule_no_engine_could_run_is_refused_with_its_place(
    tmp_path: Path, file: str, old: str, new: str, says: str
) -> None:
    assert old in FILES[file]
    shop = Shop(tmp_path, None, {**FILES, file: FILES[file].replace(old, new)})  # type: ignore[arg-type]
    shop.write()
    with pytest.raises(CatalogError) as caught:
        checked_catalog(tmp_path / "catalog")
    (problem,) = caught.value.problems
    assert problem.file.name == Path(file).name
    assert problem.line > 1
    assert says in problem.message
