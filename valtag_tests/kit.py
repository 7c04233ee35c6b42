"""What tests of many parts need: a catalog from text, clean tables from rows, an expression run to Parquet."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from filelock import FileLock

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.persons import PERSONS, clean_name
from valtag_assets.engine.session import Inputs
from valtag_assets.engine.tags import PREVIOUS, category_expression
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.problem import CatalogError
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.in_memory import Database

Row = Mapping[str, Any]

PROJECT = """\
name: shop
title: {zh: 商店, en: Shop}
start: 2020-01-01
persons: {sources: [members]}
"""

MEMBERS = """\
source: members
title: {zh: 会员, en: Members}
kind: master
person: member
read: {path: members.csv}
fields:
  - {name: member, type: text}
  - {name: city, type: text, values: {沪: 上海, 京: 北京}, title: {zh: 城市, en: City}}
  - {name: born, type: date}
  - {name: points, type: integer}
  - {name: rate, type: "decimal(9,3)"}
  - {name: is_vip, type: boolean}
"""

ORDERS = """\
source: orders
title: {zh: 订单, en: Orders}
kind: fact
person: member
time: paid_at
key: [number]
read: {path: orders.csv}
fields:
  - {name: number, type: integer}
  - {name: member, type: text}
  - {name: paid_at, type: timestamp}
  - {name: amount, type: "decimal(18,2)"}
  - {name: ratio, type: float}
  - {name: quantity, type: integer}
  - {name: brand, type: text}
  - {name: channel, type: text, values: {app: app, web: web, 门店: store}}
  - {name: gift, type: boolean}
  - {name: due, type: date}
"""

BASE = {"project.yaml": PROJECT, "sources/members.yaml": MEMBERS, "sources/orders.yaml": ORDERS}


def write_catalog(folder: Path, files: Mapping[str, Any]) -> Path:
    """The catalog ``folder`` with ``files`` (text, or data to be written as YAML) over ``BASE``; None removes one."""
    for name, content in {**BASE, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif content is not None:
            text = yaml.safe_dump(content, allow_unicode=True, default_flow_style=None)
            path.write_text(text, encoding="utf-8")
    return folder


def make_catalog(folder: Path, files: Mapping[str, Any]) -> Resolved:
    """The resolved catalog of ``files`` over ``BASE``."""
    return resolve_catalog(write_catalog(folder, files))


def problems(folder: Path, files: Mapping[str, Any]) -> list[str]:
    """What ``valtag check`` would print, with paths relative to the catalog; [] for a sound one."""
    try:
        resolve_catalog(write_catalog(folder, files))
    except CatalogError as error:
        return [str(problem).removeprefix(f"{folder}/") for problem in error.problems]
    return []


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name``, filled by ``make`` once for all workers. Not to be changed: take a copy."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with FileLock(f"{folder}.lock"):
        done = folder.with_suffix(".done")
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def tag(code: str, kind: str, value: Any, **more: Any) -> dict[str, Any]:
    """A tag block as data."""
    return {"code": code, "title": {"zh": code, "en": code}, "type": kind, "value": value, **more}


def category(code: str, *tags: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A tags file as data."""
    return {"category": code, "title": {"zh": code, "en": code}, "tags": [dict(item) for item in tags], **more}


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type a column of ``kind`` has in a Parquet file."""
    if kind.kind == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    if kind.kind == "list":
        assert kind.item is not None
        return pa.list_(arrow_type(DataType(kind.item)))
    scalars = {
        "text": pa.string(),
        "integer": pa.int64(),
        "float": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }
    return scalars[kind.kind]


def write_rows(path: Path, columns: Mapping[str, DataType], rows: Sequence[Row]) -> Path:
    """A Parquet file of ``rows``; a column a row lacks is null."""
    arrays = {name: pa.array([row.get(name) for row in rows], arrow_type(kind)) for name, kind in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path)
    return path


def write_clean(folder: Path, resolved: Resolved, source: str, rows: Sequence[Row], parts: int = 1) -> list[Path]:
    """The clean table of ``source`` in ``parts`` files."""
    columns = {**resolved.sources[source].columns, "_file": DataType("text"), "_row": DataType("integer")}
    return [write_rows(folder / f"{source}-{n}.parquet", columns, rows[n::parts]) for n in range(parts)]


def write_persons(folder: Path, persons: Iterable[str]) -> list[Path]:
    """The population."""
    rows = [{"person_id": person} for person in persons]
    return [write_rows(folder / "persons.parquet", {"person_id": DataType("text")}, rows)]


_DATABASE = Database(duckdb.connect)


def connected() -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """A connection with an empty catalog of its own, to a database that stays open: opening one costs more than most
    tests ask of it."""
    return _DATABASE.connection()


def run(
    expression: ibis.Table, inputs: Inputs, into: Path, engine: type[DuckDBEngine] = DuckDBEngine, threads: int = 2
) -> pa.Table:
    """Run ``expression`` as the product does, and read the Parquet file it wrote."""
    with connected() as connection:
        connection.execute(f"SET threads = {threads}")
        engine(connection).write(expression, inputs, into)
    return pq.read_table(into)


def compute(
    folder: Path,
    resolved: Resolved,
    code: str,
    as_of: date,
    clean: Mapping[str, Sequence[Row]],
    persons: Iterable[str] = ("a", "b", "c"),
    *,
    previous: Sequence[Row] | None = None,
    others: Mapping[str, Sequence[Row]] | None = None,
) -> list[dict[str, Any]]:
    """The rows of category ``code`` at ``as_of``, its types checked."""
    inputs: dict[str, list[Path]] = {PERSONS: write_persons(folder, persons)}
    for source in resolved.sources:
        inputs[clean_name(source)] = write_clean(folder, resolved, source, clean.get(source, ()))
    for other, rows in (others or {}).items():
        inputs[f"tags/{other}"] = [write_rows(folder / f"{other}.parquet", tag_columns(resolved, other), rows)]
    if previous is not None:
        inputs[PREVIOUS] = [write_rows(folder / "previous.parquet", tag_columns(resolved, code), previous)]
    expression = category_expression(resolved, resolved.categories[code], as_of, previous=previous is not None)
    table = run(expression, inputs, folder / "out.parquet")
    wanted = {name: arrow_type(kind) for name, kind in tag_columns(resolved, code).items()}
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        name: str(kind).replace("item:", "element:") for name, kind in wanted.items()
    }
    return table.to_pylist()


def tag_columns(resolved: Resolved, code: str) -> dict[str, DataType]:
    """The columns of a category's table."""
    return {"person_id": DataType("text"), **{item.code: item.type for item in resolved.categories[code].tags}}
