"""Who may be one person: pairs of persons that share no identifier, but whose fields are alike (splink, an extra).

The model is Fellegi and Sunter's (A Theory for Record Linkage, JASA 1969), as splink computes it. How often persons
who are two agree by chance (u) is counted on pairs of the table itself, drawn by a fixed seed; how often one person's
fields agree (m) is set by the kind of comparison, for there are too few such pairs to learn it from. Nothing is ever
merged by what comes out: it is for people to look at.
"""

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.identity.tables import SUGGESTIONS, identity_table, typed
from valtag_assets.engine.identity.work import Work
from valtag_assets.engine.persons import OWNER, PERSON, rows_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.vault import values_of
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.spec.identity import Comparison, Suggest
from valtag_assets.spec.mistake import Mistake

EQUAL, ALIKE, DIFFERENT, MISSING = "=", "≈", "≠", "?"
_ID = "unique_id"
_SEED = 20260101
_PAIRS = 1_000_000
_DIGITS = 4
# Two names have all characters but one in common. DuckDB's edit distances count bytes, of which 王 has three.
_SHARING = (
    "len(list_intersect(string_split({column}_l, ''), string_split({column}_r, '')))"
    " >= greatest(length({column}_l), length({column}_r)) - 1"
)
# Of one person's two rows: how often the field is equal, alike, different.
_AGREEMENT: dict[Comparison, tuple[float, ...]] = {
    "name": (0.75, 0.2, 0.05),
    "date": (0.85, 0.12, 0.03),
    "equal": (0.9, 0.1),
}


def require_splink() -> None:
    """Raises Mistake where the extra is not installed."""
    if importlib.util.find_spec("splink") is None:
        raise Mistake('identity.yaml: suggest needs splink: pip install "valtag[suggestions]"')


def write_suggestions(work: Work, source: ResolvedSource, suggest: Suggest, into: Path) -> int:
    """Write the rows of SUGGESTIONS, the likeliest first, from the keyed rows of a master (one per person);
    returns how many. Only persons who are equal in all fields of one of ``among`` are compared."""
    fields = list(suggest.fields)
    table = _opened(source, fields)
    texts = {f"f{n}": table[name].cast("string").strip().nullif("") for n, name in enumerate(fields)}
    rows = work.table(table.select(**{_ID: table[OWNER]}, **texts).filter(table[OWNER].notnull()).order_by(_ID))
    found = _pairs(rows, suggest, fields) if len(rows) > 1 else _no_pairs(fields)
    name = "pairs"
    pq.write_table(found, work.folder / f"{name}.parquet")
    work.files[name] = [work.folder / f"{name}.parquet"]
    pairs = unbound(name, ibis.schema(dict.fromkeys((PERSON, "other_id"), "string") | _numbers(fields)))
    told = pairs.mutate(evidence=_evidence(pairs, suggest))
    work.write(typed(told, SUGGESTIONS).order_by([ibis.desc("probability"), PERSON, "other_id"]), into)
    return len(found)


def suggested_with(source: ResolvedSource, fields: Sequence[str], most: int) -> ibis.Table:
    """The likeliest rows of SUGGESTIONS, with ``fields`` of both persons as a_… and b_…."""
    pairs = identity_table(SUGGESTIONS)
    pairs = pairs.order_by([ibis.desc("probability"), PERSON, "other_id"]).limit(most)
    for end, column in (("a", PERSON), ("b", "other_id")):
        rows = _opened(source, fields)
        rows = rows.select(**{f"{end}_person": rows[OWNER]}, **{f"{end}_{name}": rows[name] for name in fields})
        pairs = pairs.left_join(rows, pairs[column] == rows[f"{end}_person"]).drop(f"{end}_person")
    return pairs.order_by([ibis.desc("probability"), PERSON, "other_id"])


def _opened(source: ResolvedSource, fields: Sequence[str]) -> ibis.Table:
    """The rows of ``source`` with the values of ``fields``; reads the vault where some are vaulted."""
    return values_of(rows_table(source), [name for name in fields if name in source.vaulted])


def _numbers(fields: Sequence[str]) -> dict[str, str]:
    return {"probability": "float64"} | {f"gamma_f{n}": "int32" for n in range(len(fields))}


def _no_pairs(fields: Sequence[str]) -> pa.Table:
    texts = [(PERSON, pa.string()), ("other_id", pa.string()), ("probability", pa.float64())]
    return pa.schema([*texts, *((f"gamma_f{n}", pa.int32()) for n in range(len(fields)))]).empty_table()


def _pairs(rows: pa.Table, suggest: Suggest, fields: Sequence[str]) -> pa.Table:
    """(person_id, other_id, probability, the level of each field), of pairs at least as likely as the threshold."""
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    place = {name: f"f{n}" for n, name in enumerate(fields)}
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[_comparison(place[name], kind) for name, kind in suggest.fields.items()],
        blocking_rules_to_generate_predictions=[
            block_on(*(place[name] for name in names)) for names in suggest.among
        ],
        probability_two_random_records_match=min(0.5, 2 * suggest.expected / (len(rows) - 1)),
    )
    # One thread: sums of floats in another order are other sums.
    with duckdb.connect(config={"threads": 1}) as connection:
        api = DuckDBAPI(connection)
        linker = Linker(api.register(rows), settings, log_level=logging.ERROR)
        linker.training.estimate_u_using_random_sampling(max_pairs=_PAIRS, seed=_SEED)
        found: Any = linker.inference.predict(threshold_match_probability=suggest.threshold).as_duckdbpyrelation()
        levels = ", ".join(f"gamma_{name}" for name in place.values())
        ends = f"least({_ID}_l, {_ID}_r) AS {PERSON}, greatest({_ID}_l, {_ID}_r) AS other_id"
        table = found.project(f"{ends}, round(match_probability, {_DIGITS}) AS probability, {levels}")
        return table.to_arrow_table().cast(_no_pairs(fields).schema)


def _comparison(column: str, kind: Comparison) -> Any:
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    if kind == "name":
        exact = levels.ExactMatchLevel(column).configure(tf_adjustment_column=column)
        alike = levels.CustomLevel(_SHARING.format(column=column), "all characters but one")
        ordered: list[Any] = [levels.NullLevel(column), exact, alike, levels.ElseLevel()]
        made: Any = library.CustomComparison(ordered, output_column_name=column)
    elif kind == "date":
        made = library.DamerauLevenshteinAtThresholds(column, [2])
    else:
        made = library.ExactMatch(column).configure(term_frequency_adjustments=True)
    return made.configure(m_probabilities=list(_AGREEMENT[kind]))


def _evidence(pairs: ibis.Table, suggest: Suggest) -> ir.StringValue:
    """As in ``name ≈, birth_date =``: how each field compares, and no value of it."""
    parts: list[ir.StringValue] = []
    for number, (name, kind) in enumerate(suggest.fields.items()):
        level = pairs[f"gamma_f{number}"]
        most = len(_AGREEMENT[kind]) - 1
        sign = ibis.cases((level < 0, MISSING), (level == 0, DIFFERENT), (level == most, EQUAL), else_=ALIKE)
        parts.append(ibis.literal(f"{name} ") + sign)
    told = parts[0]
    for part in parts[1:]:
        told = told + ibis.literal(", ") + part
    return told
