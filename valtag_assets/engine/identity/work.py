"""Tables on the way to an answer, each a Parquet file in a folder of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import pyarrow as pa

from valtag_assets.engine.session import Engine, unbound


def united(tables: Sequence[ibis.Table], *, distinct: bool = False) -> ibis.Table:
    """The rows of ``tables``, of which there is at least one, together."""
    if len(tables) > 1:
        return ibis.union(*tables, distinct=distinct)
    return tables[0].distinct() if distinct else tables[0]


@dataclass
class Work:
    """An engine, a folder, and the files of every table by name: published ones, and those made here."""

    engine: Engine
    folder: Path
    files: dict[str, Sequence[Path]]
    _numbers: "count[int]" = field(default_factory=count)

    def keep(self, name: str, *expressions: ibis.Table) -> ibis.Table:
        """Compute ``expressions``, all of the same columns, into one table. ``name`` is for people who look into
        the folder: each table made has a name of its own."""
        own = f"{name}_{next(self._numbers)}"
        made = []
        for part, expression in enumerate(expressions):
            into = self.folder / f"{own}.{part}.parquet"
            self.engine.write(expression, self._read_by(expression), into, passing=True)
            made.append(into)
        self.files[own] = made
        return unbound(own, expressions[0].schema())

    def write(self, expression: ibis.Table, into: Path) -> None:
        """Compute ``expression`` into the file ``into``."""
        self.engine.write(expression, self._read_by(expression), into)

    def table(self, expression: ibis.Table) -> pa.Table:
        """The rows of ``expression``, in memory."""
        return self.engine.fetch(expression, self._read_by(expression))

    def rows(self, expression: ibis.Table) -> list[dict[str, Any]]:
        """The (few) rows of ``expression``."""
        found: list[dict[str, Any]] = self.table(expression).to_pylist()
        return found

    def number(self, table: ibis.Table) -> int:
        """How many rows ``table`` has."""
        return int(self.rows(table.aggregate(rows=table.count()))[0]["rows"])

    def _read_by(self, expression: ibis.Table) -> dict[str, Sequence[Path]]:
        names = {table.name for table in expression.op().find(ops.UnboundTable)}
        return {name: self.files[name] for name in sorted(names)}
