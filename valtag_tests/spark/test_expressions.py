"""Every function of the language, and random sentences in it, on both engines."""

from pathlib import Path

from hypothesis import Phase, given, settings

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.session import unbound
from valtag_assets.engine.spark import SparkEngine
from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.functions import FUNCTIONS
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.parse import parse
from valtag_assets.spec.types import INTEGER
from valtag_tests import kit
from valtag_tests.chance import MORE
from valtag_tests.expression.running import AS_OF, NAMES, ROWS, SCOPE, SYMBOLS
from valtag_tests.expression.test_compile import CASES
from valtag_tests.expression.texts import expressions
from valtag_tests.spark.cells import assert_equal

COLUMNS = {"n": INTEGER} | {symbol.code: symbol.type for symbol in SYMBOLS}


def compare(texts: list[str], rows: list[dict], folder: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    """Each text as a column, each row as a row."""
    numbered = [{**row, "n": number} for number, row in enumerate(rows)]
    inputs = {"person": [kit.write_rows(folder / "person.parquet", COLUMNS, numbered)]}
    table = unbound("person", {name: to_ibis_type(kind) for name, kind in COLUMNS.items()})
    values = {text: compile_value(parse(text, SCOPE), table, AS_OF) for text in texts}
    columns = {f"c{place}": value for place, value in enumerate(values.values())}
    for engine in (duck, spark):
        engine.write(table.select("n", **columns).order_by("n"), inputs, folder / f"{engine.name}.parquet")
    assert_equal(folder / "duckdb.parquet", folder / "spark.parquet", "n")


def test_every_function_gives_equal_cells_on_every_row(
    tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine
) -> None:
    assert set(CASES) == set(FUNCTIONS)
    texts = [text for cases in CASES.values() for text, _, _ in cases]
    given = [{**dict.fromkeys(NAMES), **fields} for cases in CASES.values() for _, fields, _ in cases]
    # Rounded to an integer, a huge number has no room on either engine.
    small = [row for row in given if abs(row["share"] or 0) < 2**53]
    compare(texts, [*ROWS, *small], tmp_path, duck, spark)


def test_random_sentences_give_equal_cells(tmp_path: Path, duck: DuckDBEngine, spark: SparkEngine) -> None:
    texts: set[str] = set()

    @given(text=expressions())
    @settings(max_examples=120 * MORE, phases=[Phase.generate])
    def written(text: str) -> None:
        texts.add(text)

    written()
    compare(sorted(texts), list(ROWS), tmp_path, duck, spark)
