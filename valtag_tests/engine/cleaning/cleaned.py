"""Clean a few rows given as columns, and read back what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.cleaning.account import Account
from valtag_assets.engine.cleaning.clean import clean_source
from valtag_assets.engine.cleaning.rows import LookupTable, RowRules
from valtag_assets.engine.cleaning.spread import find_medians
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.expression.parse import parse
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Source
from valtag_assets.spec.types import BOOLEAN, DataType
from valtag_assets.warehouse.tokens import Tokens

TITLE = {"zh": "表", "en": "table"}


@dataclass(frozen=True)
class Outcome:
    """What a cleaning left: its rows, with the texts that tokens stand for, and refusals as dicts, its account."""

    rows: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]
    account: Account
    schema: pa.Schema
    data_until: Any

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]

    def rules(self) -> dict[int, str]:
        """The rule that refused each row, by row number."""
        return {row["row"]: row["rule"] for row in self.quarantine}


def project(**settings: Any) -> Project:
    return Project.model_validate({"name": "shop", "title": TITLE, "start": date(2020, 1, 1), **settings})


def source(fields: Sequence[Mapping[str, Any]], **settings: Any) -> Source:
    """A lookup keyed by ``n`` unless ``settings`` say otherwise: the kind with the fewest rules of its own."""
    data = {"source": "things", "title": TITLE, "kind": "lookup", "key": "n", "read": {"path": "a.csv"}}
    return Source.model_validate({**data, "fields": fields, **settings})


def row_rules(spec: Source, types: Mapping[str, DataType] | None = None) -> RowRules:
    known = {field.name: field.type for field in spec.fields} | dict(types or {})
    compute = []
    for item in spec.compute:
        compute.append((item, parse(item.value, _scope(known), expect=item.type)))
        known[item.name] = item.type
    return RowRules(
        compute=tuple(compute),
        refuse=tuple((rule, parse(rule.where, _scope(known), expect=BOOLEAN)) for rule in spec.refuse),
        drop=tuple((rule, parse(rule.where, _scope(known), expect=BOOLEAN)) for rule in spec.drop),
    )


def _scope(types: Mapping[str, DataType]) -> Scope:
    return Scope([Symbol(name, kind) for name, kind in types.items()], "field")


def raw_table(folder: Path, columns: Mapping[str, pa.Array], types: Mapping[str, str]) -> RawTable:
    """A raw table of one file; row numbers count from 1."""
    folder.mkdir(parents=True)
    rows = len(next(iter(columns.values())))
    origin = {
        "_file": pa.array(["a.csv"] * rows, pa.string()),
        "_row": pa.array(range(1, rows + 1), pa.int64()),
    }
    pq.write_table(pa.table({**columns, **origin}), folder / "part-0.parquet")
    return RawTable(folder, tuple((name, types[name]) for name in columns), rows, None, 0, ("a.csv",))


def _numbers(rows: int) -> pa.Array:
    return pa.array(range(1, rows + 1), pa.int64())


def clean(
    spec: Source,
    columns: Mapping[str, Sequence[Any] | pa.Array],
    types: Mapping[str, str] | None = None,
    lookups: Mapping[str, LookupTable] | None = None,
    **settings: Any,
) -> Outcome:
    """Clean ``columns`` (lists are text columns; give others as Arrow arrays with their DuckDB ``types``)."""
    arrays = {
        name: values if isinstance(values, pa.Array) else pa.array(values, pa.string())
        for name, values in columns.items()
    }
    with TemporaryDirectory() as folder:
        raw = raw_table(Path(folder) / "raw", arrays, dict.fromkeys(arrays, "VARCHAR") | dict(types or {}))
        return clean_raw(spec, raw, Path(folder), lookups, **settings)


def clean_raw(
    spec: Source,
    raw: RawTable,
    into: Path,
    lookups: Mapping[str, LookupTable] | None = None,
    **settings: Any,
) -> Outcome:
    lookups = lookups or {}
    known = [look for look in spec.lookups if look.source in lookups]
    taken = {name: lookups[look.source].types[name] for look in known for name in look.take}
    with open_duckdb() as engine:
        medians = find_medians(engine, spec, project(**settings), raw, into)
        rules = row_rules(spec, taken)
        if spec.vaulted:
            rules = replace(rules, key=Tokens(into, {}).table(into))
        result = clean_source(engine, spec, project(**settings), raw, lookups, rules, medians, into)
    table = pq.read_table(result.clean.folder)
    kept = [] if result.vault is None else pq.read_table(result.vault.folder).to_pylist()
    texts = {row["token"]: row["value"] for row in kept}
    return Outcome(
        [{name: texts.get(value, value) for name, value in row.items()} for row in table.to_pylist()],
        pq.read_table(result.quarantine.folder).to_pylist(),
        result.account,
        table.schema,
        result.data_until,
    )


def clean_values(given: Sequence[Any] | pa.Array, raw_type: str = "VARCHAR", /, **field: Any) -> dict[Any, Any]:
    """Raw value → cleaned value of one field; a refused one maps to the rule that refused it, in brackets."""
    settings = {key: field.pop(key) for key in ("timezone_here", "missing_everywhere") if key in field}
    renamed = {"timezone_here": "timezone", "missing_everywhere": "missing"}
    outcome = clean(
        source([{"name": "n", "type": "integer"}, {"name": "x", "type": "text", **field}]),
        {"n": _numbers(len(given)), "x": given},
        {"n": "BIGINT", "x": raw_type},
        **{renamed[key]: value for key, value in settings.items()},
    )
    assert outcome.account.balanced
    keys = given.to_pylist() if isinstance(given, pa.Array) else list(given)
    result = {keys[row["n"] - 1]: row["x"] for row in outcome.rows}
    return result | {keys[number - 1]: f"[{rule}]" for number, rule in outcome.rules().items()}
