"""Small Parquet files and expectations on them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from valtag_assets.quality.expectation import Expectation, Shows
from valtag_assets.spec.block import Severity, Title
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

AS_OF = date(2024, 6, 30)


def write(path: Path, columns: Mapping[str, Iterable[Any]], **types: pa.DataType) -> list[Path]:
    """A Parquet file of ``columns``, written by DuckDB as a staged snapshot is; ``types`` correct pyarrow's guess."""
    arrays = {name: pa.array(list(values), types.get(name)) for name, values in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.from_arrow(pa.table(arrays)).write_parquet(str(path))
    return [path]


def frame(files: list[Path]) -> pd.DataFrame:
    return pd.read_parquet(files[0])


def expect(
    check: str,
    kind: str,
    column: str | None,
    severity: Severity = "error",
    shows: Shows = "values",
    measure: str | None = None,
    **arguments: Any,
) -> Expectation:
    return Expectation(
        check=check,
        kind=kind,
        column=column,
        arguments=arguments,
        severity=severity,
        holds="nothing" if severity == "warn" else "tag" if column else "table",
        title=Title(zh="期望", en="expected"),
        rule="tags/a.yaml:3",
        shows=shows,
        measure=measure,
    )


def by_check(verdicts: Iterable[Verdict]) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in verdicts}


def failed(verdicts: Iterable[Verdict]) -> set[str]:
    return {verdict.check for verdict in verdicts if not verdict.passed}


def published(rows: int, verdicts: tuple[Verdict, ...] = (), **metrics: Any) -> Snapshot:
    return Snapshot(
        table=TableRef("tags", "any"),
        id="1",
        as_of=AS_OF,
        known_at=datetime(2024, 7, 1, tzinfo=UTC),
        rows=rows,
        columns=(),
        content_hash="",
        input_hash="",
        catalog_hash="",
        run_id="",
        data_until=None,
        inputs={},
        verdicts=verdicts,
        metrics=metrics,
        files=(),
    )
