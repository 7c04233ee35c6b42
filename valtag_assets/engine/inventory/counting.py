"""Count the columns of one table: how many values, of which forms. One pass for all columns, then one sample.

The sample holds the text of every value, trimmed and at half width, as cleaning makes it first. Its values are
melted into one long table (column, value, number), over which each form is looked at once per different value.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
from ibis.expr.types import Table

from valtag_assets.engine.cleaning import text
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory import forms
from valtag_assets.engine.inventory.loading import Loaded
from valtag_assets.engine.inventory.profile import Counted
from valtag_assets.engine.inventory.words import names_person
from valtag_assets.engine.session import unbound
from valtag_assets.spec.source import Field

LOOKED_AT = 100_000  # rows: of a larger table, forms are told from so many, drawn at random
EXACT = 2_000_000  # rows: of a larger table, different values are estimated (HyperLogLog, a few percent off)
SEED = 7
TOP = 40
SAMPLE, VALUES = "sample", "values"
_ANY = Field.model_validate({"name": "any", "type": "text"})


@dataclass(frozen=True)
class Sample:
    """The sampled rows: column ``t<i>`` is the text of the i-th column. ``rows`` None: they are all rows."""

    file: Path
    width: int
    rows: int | None

    @property
    def table(self) -> Table:
        return unbound(SAMPLE, {f"t{i}": "string" for i in range(self.width)})

    @property
    def inputs(self) -> Mapping[str, Sequence[Path]]:
        return {SAMPLE: [self.file]}


def take_sample(engine: DuckDBEngine, loaded: Loaded, into: Path) -> tuple[Sample, list[tuple[int, int]]]:
    """The sample, and for each column how many of its values had spaces around, and full-width signs."""
    table = loaded.table
    rows = None
    if loaded.rows > LOOKED_AT:
        table = table.sample(LOOKED_AT / loaded.rows, method="row", seed=SEED)
    plain = table.select(**{f"r{i}": text.as_text(table[name]) for i, (name, _) in enumerate(loaded.columns)})
    raw = into / "raw.parquet"
    engine.write(plain, loaded.inputs, raw)
    written = unbound("raw", {f"r{i}": "string" for i in range(len(loaded.columns))})
    texts = {f"t{i}": text.normalise(written[f"r{i}"], _ANY) for i in range(len(loaded.columns))}
    counts = {"rows": written.count()}
    for i in range(len(loaded.columns)):
        value = written[f"r{i}"]
        counts[f"s{i}"] = (value != value.strip()).sum()
        counts[f"w{i}"] = value.re_search(r"[\x{ff01}-\x{ff5e}]").sum()
    engine.write(written.select(**texts), {"raw": [raw]}, into / "sample.parquet")
    found = engine.fetch(written.aggregate(**counts), {"raw": [raw]}).to_pylist()[0]
    raw.unlink()
    if loaded.rows > LOOKED_AT:
        rows = found["rows"]
    odd = [(int(found[f"s{i}"] or 0), int(found[f"w{i}"] or 0)) for i in range(len(loaded.columns))]
    return Sample(into / "sample.parquet", len(loaded.columns), rows), odd


def count(engine: DuckDBEngine, loaded: Loaded, sample: Sample, odd: Sequence[tuple[int, int]]) -> list[Counted]:
    """Every column, counted."""
    distinct = _distinct(engine, loaded)
    file = sample.file.with_name("values.parquet")
    melted = sample.table.pivot_longer(ibis.selectors.all(), names_to="column", values_to="value")
    engine.write(melted.group_by("column", "value").aggregate(n=melted.count()), sample.inputs, file)
    values = unbound(VALUES, {"column": "string", "value": "string", "n": "int64"})
    inputs = {VALUES: [file]}
    missing = values["value"].isin(list(forms.MISSING))
    spelled = engine.fetch(values.filter(missing), inputs).to_pylist()
    given = values.filter(values["value"].notnull() & ~missing)
    by_column = {row["column"]: row for row in engine.fetch(_forms(given), inputs).to_pylist()}
    formats = _grouped(engine.fetch(_formats(given), inputs).to_pylist(), "format")
    top = _grouped(engine.fetch(_top(given), inputs).to_pylist(), "value")
    spellings = _grouped(spelled, "value")
    return [
        _counted(
            Counted(name, kind, distinct[i], _exactly(loaded, name), trimmed=odd[i][0], widened=odd[i][1]),
            by_column.get(f"t{i}", {}),
            formats[f"t{i}"],
            spellings[f"t{i}"],
            top[f"t{i}"],
        )
        for i, (name, kind) in enumerate(loaded.columns)
    ]


def _counted(
    bare: Counted, row: Mapping[str, Any], formats: dict[str, int], spellings: dict[str, int], top: dict[str, int]
) -> Counted:
    numbers = {name: int(value or 0) for name, value in row.items() if name != "column"}
    found = {name.removeprefix("form_"): value for name, value in numbers.items() if name.startswith("form_")}
    # What stands for nothing only in some columns counts as a value until somebody decides.
    kept = {name: many for name, many in spellings.items() if name in forms.AMBIGUOUS}
    present = numbers.get("present", 0) + sum(kept.values())
    whole = {name: many for name, many in kept.items() if name.lstrip("-").isdigit()}
    for form in ("whole", "number", "integer"):
        found[form] = found.get(form, 0) + sum(whole.values())
    return Counted(
        bare.name, bare.raw, bare.distinct, bare.exact, present, numbers.get("values", 0) + len(kept),
        numbers.get("folded", 0) + len(kept), found, formats, numbers.get("timed", 0), spellings,
        tuple(sorted(top.items(), key=lambda item: (-item[1], item[0]))), numbers.get("scale", 0),
        numbers.get("longest", 0), bare.trimmed, bare.widened,
    )  # fmt: skip


def _exactly(loaded: Loaded, name: str) -> bool:
    """Whether the different values of a column are counted: always those of persons, which say what a table is."""
    return loaded.rows <= EXACT or names_person(name)


def _distinct(engine: DuckDBEngine, loaded: Loaded) -> list[int]:
    table = loaded.table
    counts = {
        f"d{i}": table[name].nunique() if _exactly(loaded, name) else table[name].approx_nunique()
        for i, (name, _) in enumerate(loaded.columns)
    }
    found = engine.fetch(table.aggregate(**counts), loaded.inputs).to_pylist()[0]
    return [min(found[f"d{i}"], loaded.rows) for i in range(len(loaded.columns))]


def _forms(given: Table) -> Table:
    value = given["value"]
    looked = given.mutate(
        **{f"form_{name}": condition for name, condition in forms.conditions(value).items()},
        scale=forms.scale(value),
        longest=value.length(),
    )
    sums = {name: looked["n"].sum(where=looked[name]) for name in looked.columns if name.startswith("form_")}
    return looked.group_by("column").aggregate(
        present=looked["n"].sum(),
        values=looked.count(),
        folded=looked["value"].lower().nunique(),
        scale=looked["scale"].max(),
        longest=looked["longest"].max(),
        timed=looked["n"].sum(where=forms.with_hours(looked["value"])),
        **sums,
    )


def _formats(given: Table) -> Table:
    """(column, format, n): each value by the first format it fits; month or day first, by both."""
    fits = forms.fitting_formats(given["value"])
    slashed = (*forms.MONTH_FIRST, *forms.DAY_FIRST)
    first = ibis.cases(*[(fit, ibis.literal(name)) for name, fit in fits if name not in slashed], else_=None)
    parts = [given.select("column", "n", format=first.cast("string"))]
    parts += [
        given.filter(fit).select("column", "n", format=ibis.literal(name)) for name, fit in fits if name in slashed
    ]
    every = ibis.union(*parts)
    every = every.filter(every["format"].notnull())
    return every.group_by("column", "format").aggregate(n=every["n"].sum())


def _top(given: Table) -> Table:
    order = ibis.window(group_by="column", order_by=[ibis.desc("n"), ibis.asc("value")])
    ranked = given.mutate(rank=ibis.row_number().over(order))
    return ranked.filter(ranked["rank"] < TOP).select("column", "value", "n")


def _grouped(rows: Sequence[Mapping[str, Any]], name: str) -> defaultdict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row["column"]][row[name]] = int(row["n"])
    return found
