"""A staged table against its expectations: Great Expectations on DuckDB, and verdicts from its results.

Where an engine is given that is not embedded, it counts instead (``quality.counting``): the same expectations,
the same counts.

Great Expectations bundles the counts of all column expectations into one query and adds small ones for the
samples, so the cost is that of a few scans (1M rows × 60 columns, about 150 expectations: seconds).
"""

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from valtag_assets.quality import queries
from valtag_assets.quality.counting import Engine, counted, origin_of
from valtag_assets.quality.expectation import ROWS, Expectation
from valtag_assets.quality.outcome import Outcome, read_outcome, verdicts_of
from valtag_assets.quality.suite import import_gx, to_suite
from valtag_assets.spec.masking import mask_key
from valtag_assets.warehouse.quoting import quote
from valtag_assets.warehouse.reading import parquet
from valtag_assets.warehouse.snapshot import Verdict

if TYPE_CHECKING:
    from great_expectations.datasource.fluent.interfaces import Batch

SAMPLE = 5


def audit(
    files: Sequence[Path],
    expectations: Sequence[Expectation],
    key: str,
    joined: Mapping[str, Sequence[Path]] | None = None,
    mask: Callable[[str], str] = mask_key,
    engine: Engine | None = None,
) -> list[Verdict]:
    """Verdicts on the rows of the Parquet ``files``, in the order of ``expectations``.

    ``key`` names the rows of samples, masked; where they were read is told with it. ``joined`` are the files of
    other tables that laws read, by table key (``tags/attribute``). ``engine`` counts in the place of Great
    Expectations. A law gives one verdict per tag it judges, all under its name. An expectation that could not be
    evaluated has failed, with ``detail["error"]``.

    ``detail`` is JSON: title {zh, en}, rule (file:line), observed, expected, sample (at most 5 rows).
    """
    names = [item.check for item in expectations]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"checks of one table need different names: {', '.join(repeated)}")
    outcomes = evaluate(files, expectations, key, joined, engine)
    return [
        verdict for item in expectations for verdict in verdicts_of(item, outcomes[item.check], key, mask, SAMPLE)
    ]


def evaluate(
    files: Sequence[Path],
    expectations: Sequence[Expectation],
    key: str,
    joined: Mapping[str, Sequence[Path]] | None = None,
    engine: Engine | None = None,
) -> dict[str, Outcome]:
    """What comes of each expectation on the rows of ``files``, by check; see ``audit``."""
    if not expectations:
        return {}
    if engine is not None:
        return counted(engine, files, expectations, key, joined or {}, SAMPLE)
    with _opened(files, joined or {}) as (batch, connection):
        outcomes = _outcomes(batch, expectations, [key, *origin_of(files[0])])
        rows = _row_count(connection)
        return {item.check: _measured(connection, item, outcomes[item.check], rows) for item in expectations}


@contextmanager
def _opened(
    files: Sequence[Path], joined: Mapping[str, Sequence[Path]]
) -> Iterator[tuple["Batch", duckdb.DuckDBPyConnection]]:
    """The staged rows as a Great Expectations batch, and the connection they live on.

    Files reach DuckDB as values and become views; the query asset only names a view. Views are gone afterwards; the
    database is kept for the next audit of this thread, since its like takes longer to set up than a small table to
    be audited. One in which something went wrong is not.
    """
    bench = getattr(_of_thread, "bench", None) or _Bench()
    _of_thread.bench = None
    views = {queries.STAGED: files, **joined}
    try:
        for name, paths in views.items():
            parquet(bench.connection, paths).create_view(name)
        yield bench.batch(), bench.connection
    except BaseException:
        bench.close()
        raise
    try:
        bench.settle()
        for name in views:
            bench.connection.execute(f"DROP VIEW {quote(name)}")
    except Exception:  # the audit is through, whatever this database has
        bench.close()
    else:
        _of_thread.bench = bench


_of_thread = threading.local()


class _Bench:
    """Great Expectations over an in-memory DuckDB. It spills to a folder that goes with it."""

    def __init__(self) -> None:
        gx = import_gx()
        _keep_one_connection()
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = {"globally": False}
        source = self._context.data_sources.add_or_update_sql("staged", connection_string="duckdb:///:memory:")
        self._engine = source.get_execution_engine()
        self._spill = tempfile.TemporaryDirectory(prefix="valtag-audit-")
        with self._engine.get_connection() as connected:
            self._connected = connected
            self.connection: duckdb.DuckDBPyConnection = connected.connection.driver_connection
        self.connection.execute("SET temp_directory = $path", {"path": self._spill.name})
        # As in warehouse.in_memory: a file written anew must be read anew.
        self.connection.execute("SET enable_external_file_cache = false")
        _quote_all_keywords(self._engine, self.connection)
        asset = source.add_query_asset(name="staged", query=f'SELECT * FROM "{queries.STAGED}"')
        self._rows = asset.add_batch_definition_whole_table("all rows")

    def batch(self) -> "Batch":
        from great_expectations.data_context import set_context

        # Another context may have been made since: the last one is everybody's.
        set_context(self._context)
        return self._rows.get_batch()

    def settle(self) -> None:
        """End the transaction that reading has begun: it would see the views of this audit in the next one."""
        self._connected.rollback()

    def close(self) -> None:
        self._engine.close()
        self.connection.close()
        self._spill.cleanup()


class _DuckDB(str):
    """Stands for DuckDB where Great Expectations compares dialects: as text, and by ``value``."""

    value = "duckdb"


def _keep_one_connection() -> None:
    """Make Great Expectations keep its connection to DuckDB, as it does for SQLite.

    An in-memory database lives in one connection, and results are read after their connection was given
    back: without this, nearly every expectation ends in an error (1.24). The name is private to the package,
    hence the pinned version and a test.
    """
    from great_expectations.execution_engine import sqlalchemy_execution_engine as module

    dialects: Any = module._PERSISTED_CONNECTION_DIALECTS
    if "duckdb" not in dialects:
        module._PERSISTED_CONNECTION_DIALECTS = (*dialects, _DuckDB("duckdb"))


def _quote_all_keywords(engine: Any, connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB has words that SQLAlchemy, which thinks of PostgreSQL, leaves unquoted: a column called ``at``."""
    words = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    preparer = engine.engine.dialect.identifier_preparer
    preparer.reserved_words = {*preparer.reserved_words, *(word for (word,) in words)}


def _outcomes(batch: Any, expectations: Sequence[Expectation], names: Sequence[str]) -> dict[str, Outcome]:
    """What came of each expectation, by check.

    Queries need COMPLETE to give their rows (at most 200); for the others SUMMARY keeps the samples short.
    The bundled query fails as a whole, so what ended in an error is tried again by itself: then the error
    stays with its own expectation.
    """
    summary = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": SAMPLE,
        "unexpected_index_column_names": list(dict.fromkeys(names)),
    }
    found: dict[str, Outcome] = {}
    for group, form in (
        ([item for item in expectations if item.kind != ROWS], summary),
        ([item for item in expectations if item.kind == ROWS], {"result_format": "COMPLETE"}),
    ):
        found |= _validated(batch, group, form)
        failed = [item for item in group if found[item.check].error is not None]
        for item in failed if len(group) > 1 else ():
            found |= _validated(batch, [item], form)
    return found


def _validated(batch: Any, group: Sequence[Expectation], form: dict[str, Any]) -> dict[str, Outcome]:
    if not group:
        return {}
    report = batch.validate(to_suite(group), result_format=form)
    return {result.expectation_config.meta["check"]: read_outcome(result) for result in report.results}


def _row_count(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.table(queries.STAGED).aggregate("count(*)").fetchone()
    assert found is not None
    return int(found[0])


def _measured(connection: duckdb.DuckDBPyConnection, item: Expectation, outcome: Outcome, rows: int) -> Outcome:
    """The outcome with the counts that Great Expectations' own result lacks."""
    if outcome.error is not None:
        return outcome
    if item.measure is None:
        return outcome.completed(evaluated=rows)
    row = connection.execute(item.measure).fetchone()
    assert row is not None
    return outcome.completed(evaluated=row[0], observed=row[1] if len(row) > 1 else None)
