"""The rows of a clean table that a value tag rests on, how they make the value, and the value made of them alone."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from valtag_assets.console.explanation import Clean, Place, Refused, Row
from valtag_assets.engine import explain as rests
from valtag_assets.engine.access import field_needs
from valtag_assets.engine.answers import VALUE
from valtag_assets.engine.brands import brand_field, of_own_brands
from valtag_assets.engine.persons import PERSONS, keyed_name, owner_column
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.session import Engine, Inputs
from valtag_assets.engine.tags import PREVIOUS, tag_expression
from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.resolved import Aggregate, Resolved, ResolvedSource, ResolvedTag
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.snapshot import Snapshot

VALUES_SHOWN = 10
# What cleaning does to a field, in its order, as far as the catalog asks for it.
_STEPS = ("missing", "replace", "case", "values", "code_table", "formats", "timezone", "unit", "bounds", "outlier")


@dataclass(frozen=True)
class Looking:
    """One person, seen by one role at one as-of, with an engine and a folder for passing files."""

    resolved: Resolved
    engine: Engine
    work: Path
    person: str
    reader: Reader
    limit: int


@dataclass(frozen=True)
class Tables:
    """The snapshots a clean table's part in a tag is read from: its own, the merged and the refused rows beside it,
    and the file that holds the one person."""

    clean: Snapshot
    merged: Snapshot | None
    quarantine: Snapshot | None
    one: Path


@dataclass(frozen=True)
class Found:
    """What rows give: the record to show, words about it, and the value computed from the counted rows alone."""

    clean: Clean
    how: Sequence[str]
    again: Any


def rows_of_fact(looking: Looking, tag: ResolvedTag, as_of: date, tables: Tables, kept: Inputs) -> Found:
    """``kept``: under PREVIOUS the files of the day before, from which the tag keeps a value it would lose."""
    resolved, engine = looking.resolved, looking.engine
    assert tag.aggregate is not None
    aggregate, source = tag.aggregate, resolved.sources[tag.aggregate.fact]
    fields = rests.fields_of(source, aggregate)
    own = _own(looking, source, fields, tables)
    mine = {keyed_name(source): [own]}
    judged = engine.fetch(rests.judged_rows(source, aggregate, as_of), mine).to_pylist()
    counted = [row for row in judged if row[rests.WHY] == rests.COUNTED]
    reasons = Counter(row[rests.WHY] for row in judged if row[rests.WHY] != rests.COUNTED)
    hidden = _hidden(looking, source, fields)
    deciding = rests.deciding_row(source, aggregate, as_of)
    place = engine.fetch(deciding, mine).to_pylist()[0] if deciding is not None and counted else None
    decides = None if place is None or place["_file"] is None else (place["_file"], place["_row"])
    shown = _shown(counted, looking.limit, decides)
    secret = aggregate.of is not None and bool(names_read(aggregate.of) & hidden)
    valued = None if aggregate.of is None else secret
    first, last = rests.window_dates(aggregate, as_of)
    ranking, how = _making(looking, source, tag, as_of, mine, secret=secret)
    measures = _measures(aggregate)
    clean = Clean(
        source=source.code,
        snapshot=tables.clean.id,
        where=None if aggregate.where is None else meaning(aggregate.where),
        first=first,
        last=last,
        counted=len(counted),
        rows=_rows(looking, source, fields, shown, decides, tables, hidden, value=valued),
        left_out={word: reasons[word] for word in rests.NOT_COUNTED if reasons[word]},
        origins={name: origin_text(source, name) for name in fields},
        refused=_refused(looking, source, tables.quarantine),
        measures=measures if ranking else (),
        ranking=ranking[:VALUES_SHOWN],
        values=len(ranking),
    )
    # The proof reads the rows that were found to count, and nothing else of the fact.
    only = looking.work / f"{tag.code}.counted.parquet"
    engine.write(rests.counted_rows(source, aggregate, as_of), mine, only)
    return Found(clean, how, _again(looking, tag, as_of, {keyed_name(source): [only]}, tables.one, kept))


def row_of_master(looking: Looking, tag: ResolvedTag, as_of: date, tables: Tables, kept: Inputs) -> Found:
    """The person's row of the master that the tag reads, and the tag of this row alone."""
    assert tag.master is not None and tag.node is not None
    source = looking.resolved.sources[tag.master]
    read = names_read(tag.node)
    fields = [name for name in source.columns if name in read]
    # The build reads a master's whole row.
    own = _own(looking, source, list(source.columns), tables)
    mine = {keyed_name(source): [own]}
    found = looking.engine.fetch(rests.own_rows(source, looking.person, fields), mine).to_pylist()
    clean = Clean(
        source=source.code,
        snapshot=tables.clean.id,
        where=None,
        first=None,
        last=None,
        counted=len(found),
        rows=_rows(looking, source, fields, found, None, tables, _hidden(looking, source, fields), value=None),
        left_out={},
        origins={name: origin_text(source, name) for name in fields},
        refused=_refused(looking, source, tables.quarantine),
    )
    how = [f"{meaning(tag.node)} of the person's row of {source.code}"]
    if not found:
        how = [f"{source.code} has no row of this person"]
    return Found(clean, how, _again(looking, tag, as_of, mine, tables.one, kept))


def origin_text(source: ResolvedSource, name: str) -> str:
    """Where a clean column comes from: a raw column and how it was cleaned, a lookup, or a computation."""
    spec = source.spec
    for lookup in spec.lookups:
        if name in lookup.take:
            return f"looked up in {lookup.source} by {lookup.on}"
    for item in spec.compute:
        if item.name == name:
            return f"computed: {item.value}"
    field = next(item for item in spec.fields if item.name == name)
    plain = {"name", "source_name", "type", "title", "layer", "access", "checks", "required", "trim", "half_width"}
    otherwise = {"unknown", "invalid", "two_digit_years"}
    steps = [
        key for key in type(field).model_fields if key in field.model_fields_set and key not in plain | otherwise
    ]
    words = [_step(key, getattr(field, key)) for key in steps if getattr(field, key)]
    return f"column “{field.source_name}” → {'; '.join([*words, str(field.type)])}"


def _step(key: str, value: Any) -> str:
    if key == "values":
        return "code table"
    if key == "code_table":
        return f"code table {value}"
    if key == "unit":
        return ", ".join(f"unit → {unit.to}" + (f" by {unit.by}" if unit.by else "") for unit in value)
    if key in ("formats", "missing"):
        return f"{key} {', '.join(value)}"
    if key == "bounds":
        ends = {"≥": value.min, "≤": value.max}
        return " and ".join(f"{sign} {_plain(end)}" for sign, end in ends.items() if end is not None)
    if key == "outlier":
        return f"at most {value.times:g} times the median"
    return key if key == "replace" else f"{key} {value}"


def _plain(end: float | date) -> str:
    return str(end) if isinstance(end, date) else f"{end:g}"


def _own(looking: Looking, source: ResolvedSource, fields: Sequence[str], tables: Tables) -> Path:
    """The person's rows in a file of their own: the one time the whole clean table is read."""
    there = {name for name, _ in tables.clean.columns}
    if gone := sorted({*fields, owner_column(source)} - there):
        raise Mistake(
            f"{tables.clean.table} {tables.clean.id} has no {', '.join(gone)}: source {source.code} has changed"
            " since; valtag run computes it anew"
        )
    into = looking.work / f"{source.code}.{len(list(looking.work.iterdir()))}.parquet"
    brand = brand_field(looking.reader, source.code)
    expression = rests.own_rows(source, looking.person, fields if brand is None else [*fields, brand])
    expression = of_own_brands(looking.reader, source.code, expression)
    looking.engine.write(expression, {keyed_name(source): tables.clean.files}, into)
    return into


def _hidden(looking: Looking, source: ResolvedSource, fields: Sequence[str]) -> set[str]:
    needs = field_needs(looking.resolved, source)
    return {name for name in fields if not looking.reader.may(needs[name])}


def _shown(counted: list[dict[str, Any]], limit: int, decides: tuple[str, int] | None) -> list[dict[str, Any]]:
    """The newest ``limit`` rows, in order of time; the one that decides is always among them."""
    shown = counted[len(counted) - min(limit, len(counted)) :]
    if decides is None or limit == 0 or any((row["_file"], row["_row"]) == decides for row in shown):
        return shown
    return [row for row in counted if (row["_file"], row["_row"]) == decides] + shown[1:]


def _rows(
    looking: Looking,
    source: ResolvedSource,
    fields: Sequence[str],
    shown: Sequence[Mapping[str, Any]],
    decides: tuple[str, int] | None,
    tables: Tables,
    hidden: set[str],
    *,
    value: bool | None,
) -> list[Row]:
    """``value``: whether the value of a row is secret; None where a row has none."""
    places = [(row["_file"], row["_row"]) for row in shown]
    merged = _merged(looking, source, places, tables.merged)
    found = []
    for place, row in zip(places, shown, strict=True):
        cells = {name: MASK if name in hidden else row[name] for name in fields}
        given = None if value is None else MASK if value else row[VALUE]
        found.append(Row(Place(*place, merged=merged.get(place, ())), cells, given, place == decides))
    return found


def _merged(
    looking: Looking, source: ResolvedSource, places: Sequence[tuple[str, int]], snapshot: Snapshot | None
) -> dict[tuple[str, int], list[tuple[str, int]]]:
    """The rows that each row stands for beside itself."""
    if snapshot is None or not places:
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = looking.work / f"{source.code}.standing.parquet"
    files, rows = zip(*places, strict=True)
    columns = {"_file": pa.array(files, pa.string()), "_row": pa.array(rows, pa.int64())}
    pq.write_table(pa.table(columns), file)
    inputs = {f"{rests.MERGED}/{source.code}": snapshot.files, rests.STANDING: [file]}
    found: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for row in looking.engine.fetch(rests.merged_rows(source), inputs).to_pylist():
        found.setdefault((row["_into_file"], row["_into_row"]), []).append((row["_file"], row["_row"]))
    return found


def _refused(looking: Looking, source: ResolvedSource, snapshot: Snapshot | None) -> Refused | None:
    """Refused rows whose raw key is the person's, spaces and the field's own ``case`` aside; None if none is known
    to the source. Other spellings of the key can't be told."""
    key = next((field for field in source.spec.fields if field.name == source.spec.person), None)
    if snapshot is None or key is None or brand_field(looking.reader, source.code) is not None:
        # Of which brand a refused row is can't be told.
        return None
    spelling = json.dumps(looking.person, ensure_ascii=False)[1:-1]
    inputs = {f"{rests.QUARANTINE}/{source.code}": snapshot.files}
    rows = looking.engine.fetch(rests.refused_rows(source, spelling), inputs).to_pylist()
    mine = [row for row in rows if _key_in(row["record"], key.source_name, key.case) == looking.person]
    by_rule = Counter(f"{row['rule']}: {row['reason']}" for row in mine)
    return Refused(dict(sorted(by_rule.items())), [Place(row["file"], row["row"]) for row in mine[: looking.limit]])


def _key_in(record: str, column: str, case: str | None) -> str | None:
    try:
        found = json.loads(record)
    except ValueError:
        return None
    text = found.get(column) if isinstance(found, dict) else None
    if not isinstance(text, str):
        return None
    text = text.strip()
    return text.upper() if case == "upper" else text.lower() if case == "lower" else text


def _measures(aggregate: Aggregate) -> list[str]:
    """The names of the measures in a ranking: rows, then what ranks, then the ties."""
    found = ["rows"]
    if aggregate.agg in ("top", "top_k", "share"):
        for measure in (aggregate.by, *(tie.measure for tie in aggregate.ties)):
            found.append("count()" if measure.of is None else f"sum({meaning(measure.of)})")
    return found


def _making(
    looking: Looking, source: ResolvedSource, tag: ResolvedTag, as_of: date, mine: Inputs, *, secret: bool
) -> tuple[list[list[Any]], list[str]]:
    """The ranking of values, if the tag has one, and how the rows make the value, in words."""
    engine = looking.engine
    assert tag.aggregate is not None
    made = engine.fetch(rests.figures(source, tag, as_of), mine).to_pylist()[0]
    ranking = rests.value_ranking(source, tag, as_of)
    if ranking is None:
        return [], [_simple_words(tag.aggregate, made, as_of, secret=secret)]
    rows = engine.fetch(ranking, mine).to_pylist()
    cells = [[MASK if secret else row[VALUE], *(row[name] for name in row if name != VALUE)] for row in rows]
    return cells, [_value_words(tag.aggregate, rows, secret=secret)]


def _simple_words(aggregate: Aggregate, made: Mapping[str, Any], as_of: date, *, secret: bool) -> str:
    rows, agg = made["n_rows"], aggregate.agg
    if agg == "count":
        return f"count of {rows} rows"
    of = "time" if aggregate.of is None else meaning(aggregate.of)
    if made.get("n_count") == 0 or all(value is None for name, value in made.items() if name != "n_rows"):
        return f"{agg} of no value: there is no row to compute from"
    if agg in ("days_since_first", "days_since_last"):
        moment = made["n_min"] if agg == "days_since_first" else made["n_max"]
        return f"days from {moment:%Y-%m-%d} to the as-of {as_of}, over {rows} rows"
    if agg == "avg":
        found = "" if secret else f" = {made['n_sum']} / {made['n_count']}"
        return f"sum({of}) / count over {rows} rows{found}"
    if agg == "sum":
        return f"sum({of}) over {made['n_count']} rows" + ("" if secret else f" = {made['n_sum']}")
    words = {"min": "least", "max": "greatest", "first": "first", "last": "last"}
    return f"{words[agg]} {of} of {rows} rows"


def _value_words(aggregate: Aggregate, rows: Sequence[Mapping[str, Any]], *, secret: bool) -> str:
    assert aggregate.of is not None
    of, agg, number = meaning(aggregate.of), aggregate.agg, sum(row["m0"] for row in rows)
    over = f"{len(rows)} values of {of} in {number} rows"
    by = "" if agg not in ("top", "top_k", "share") else f", ranked by {', then '.join(_measures(aggregate)[1:])}"
    if agg == "count_distinct":
        return f"count of the {over}"
    if agg in ("median", "quantile"):
        q = 0.5 if agg == "median" else aggregate.q
        return f"quantile {q} of {over}: rank {(number - 1) * (q or 0):g} of 0 to {max(0, number - 1)}, interpolated"
    if agg == "share":
        whole = sum(row["m1"] for row in rows)
        if aggregate.equals is None:
            part, what = max((row["m1"] for row in rows), default=0), "the top value"
        else:
            part = sum(row["m1"] for row in rows if row[VALUE] == aggregate.equals)
            what = f"'{aggregate.equals}'"
        return f"{_measures(aggregate)[1]} of {what} / of all, {over}" + ("" if secret else f" = {part} / {whole}")
    most = {"top": "the first", "top_k": f"the first {aggregate.k}", "list": f"the least {aggregate.k}"}
    return f"{most[agg]} of {over}{by}; of equal ones the smaller"


def _again(looking: Looking, tag: ResolvedTag, as_of: date, clean: Inputs, one: Path, kept: Inputs) -> Any:
    """The tag of the one person, computed by the build's own expression from these rows alone."""
    previous = [tag.code] if PREVIOUS in kept else False
    expression = tag_expression(looking.resolved, tag.code, as_of, previous=previous)
    found = looking.engine.fetch(expression, {**clean, **kept, PERSONS: [one]})
    return found[tag.code][0].as_py()
