"""RFM: scores by quantile edges, the Chinese quadrants and the named tiers.

Edges are the smallest values whose cumulative share of persons reaches 1/bins, 2/bins, … (the inverse of the
empirical distribution; Hyndman & Fan 1996, type 1). A score is 1 + the number of edges below the value, so
equal values share a score and the order of rows is of no consequence. Recency counts days, fewer are better:
it is scored on its negative. The same rule holds for cuts written in the catalog. Nested scoring applies it to F
within each R score and to M within each pair of R and F scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.concentration import concentration_expression
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.session import unbound
from valtag_assets.engine.sums import summed, total
from valtag_assets.engine.tags import category_table
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.convert import convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import Resolved, ResolvedScore
from valtag_assets.spec.block import Title
from valtag_assets.spec.score import MEASURES, QUADRANTS, Rfm
from valtag_assets.spec.types import FLOAT, DataType

LETTERS = dict(zip(MEASURES, "rfm", strict=True))


def scores_name(score: str) -> str:
    """The table key of a score."""
    return f"scores/{score}"


def score_table(score: ResolvedScore) -> ibis.Table:
    """The published scores as an unbound table."""
    schema = {PERSON: ibis.dtype("string")} | {n: to_ibis_type(k) for n, k in score.columns.items()}
    return unbound(scores_name(score.code), schema)


def rfm_expression(resolved: Resolved, score: ResolvedScore, as_of: date) -> ibis.Table:
    """(person_id, <score>_r, _f, _m, _code, _quadrant, _tier) of everybody scored, sorted by person.

    Scored are the persons that satisfy ``where`` and have all three measures.
    """
    rfm, code = score.spec, score.code
    table = cut_expression(resolved, score, as_of)
    r, f, m = (table[letter] for letter in LETTERS.values())
    found: dict[str, ir.Value] = {f"{code}_{letter}": table[letter] for letter in LETTERS.values()}
    found[f"{code}_code"] = r.cast("string").concat(f.cast("string"), m.cast("string"))
    found[f"{code}_quadrant"] = _quadrant(table)
    found[f"{code}_tier"] = _tier(rfm, r, f, m)
    typed = [found[name].cast(to_ibis_type(kind)).name(name) for name, kind in score.columns.items()]
    return table.select(PERSON, *typed).order_by(PERSON)


def scored_persons(resolved: Resolved, score: ResolvedScore, as_of: date) -> ibis.Table:
    """(person_id, recency, frequency, monetary) of the persons the model scores."""
    table: ibis.Table | None = None
    for category in sorted({resolved.category_of(tag) for tag in score.tags}):
        names = sorted(tag for tag in score.tags if resolved.category_of(tag) == category)
        part = category_table(resolved, category).select(PERSON, *names)
        table = part if table is None else table.inner_join(part, PERSON)
    assert table is not None
    if score.where is not None:
        table = table.filter(compile_condition(score.where, table, as_of))
    rfm = score.spec
    values = {name: table[getattr(rfm, name)] for name in MEASURES}
    return table.select(PERSON, **values).drop_null(list(MEASURES))


def cut_expression(resolved: Resolved, score: ResolvedScore, as_of: date) -> ibis.Table:
    """(person_id, recency, frequency, monetary, r, f, m) of everybody scored, with what each was cut at.

    That is <measure>_1 … <measure>_<bins−1>, above which a value scores one more (recency on its negative), and
    <measure>_high, where near (recency) and high begin.
    """
    rfm = score.spec
    kinds = {name: _kind(resolved, rfm, name) for name in MEASURES}
    scored = scored_persons(resolved, score, as_of)
    table = scored.cross_join(_thresholds(scored, rfm, kinds))
    for place, name in enumerate(MEASURES):
        within = list(LETTERS.values())[:place] if rfm.scoring == "nested" and name not in rfm.cuts else []
        edges = _edges(table if within else scored, rfm, name, within)
        table = table.inner_join(edges, within) if within else table.cross_join(edges)
        table = table.mutate(**{LETTERS[name]: _score(table, rfm, name)})
    return table


def revenue_concentration(resolved: Resolved, score: ResolvedScore, as_of: date) -> ibis.Table:
    """One row: how far the monetary values of those scored are concentrated (``read_concentration`` reads it)."""
    scored = scored_persons(resolved, score, as_of)
    return concentration_expression(scored, "monetary", _kind(resolved, score.spec, "monetary"))


def cell_sizes(resolved: Resolved, score: ResolvedScore, as_of: date) -> ibis.Table:
    """(r, f, m, quadrant, tier, persons, monetary) per cell: what the heat map and the tier table show."""
    scored = scored_persons(resolved, score, as_of)
    own = score_table(score)
    joined = own.inner_join(scored, PERSON)
    names = {letter: joined[f"{score.code}_{letter}"] for letter in "rfm"}
    names |= {name: joined[f"{score.code}_{name}"] for name in ("quadrant", "tier")}
    kind = _kind(resolved, score.spec, "monetary")
    cells = joined.select(**names, monetary=joined["monetary"]).group_by(list(names))
    return cells.aggregate(
        persons=lambda t: t.count(),
        monetary=lambda t: convert(total(t["monetary"], kind), summed(kind), FLOAT),
    ).order_by(list(names))


@dataclass(frozen=True)
class Group:
    """A tier or quadrant: its persons, what they spent, and the shares of both (0 to 1)."""

    code: str
    title: Title
    persons: int
    share: float
    monetary: float
    revenue_share: float


def tier_titles(rfm: Rfm) -> dict[str, Title]:
    """What the tiers are called, in the order of the catalog."""
    return {tier.code: tier.title for tier in rfm.named_tiers}


def tier_groups(rfm: Rfm, cells: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Every named tier, in the order of the catalog, from the rows of ``cell_sizes``."""
    return _groups(cells, "tier", tier_titles(rfm))


def quadrant_groups(cells: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Each of the eight quadrants, from the rows of ``cell_sizes``."""
    return _groups(cells, "quadrant", QUADRANTS)


def _groups(cells: Sequence[Mapping[str, Any]], by: str, titles: Mapping[str, Title]) -> list[Group]:
    persons = sum(cell["persons"] for cell in cells) or 1
    revenue = sum(cell["monetary"] for cell in cells) or 1.0
    found = []
    for code, title in titles.items():
        own = [cell for cell in cells if cell[by] == code]
        size, money = sum(cell["persons"] for cell in own), sum(cell["monetary"] for cell in own)
        found.append(Group(code, title, size, size / persons, money, money / revenue))
    return found


def _kind(resolved: Resolved, rfm: Rfm, name: str) -> DataType:
    return resolved.tags[getattr(rfm, name)].type


def _edges(scored: ibis.Table, rfm: Rfm, name: str, within: Sequence[str]) -> ibis.Table:
    """One row of edges per combination of the columns ``within`` (none: one row), by rank arithmetic on the distinct
    values; no engine's own quantile is involved."""
    places = range(1, rfm.bins)
    if name in rfm.cuts:
        cuts = rfm.cuts[name]  # type: ignore[index]
        # Recency is scored on its negative, so its cuts turn round.
        written = [-cut for cut in reversed(cuts)] if name == "recency" else list(cuts)
        one = scored.aggregate(**{f"{name}_persons": scored.count()})
        return one.select(**{f"{name}_{place}": ibis.literal(written[place - 1]) for place in places})
    valued = scored.select(*within, v=_signed(scored, name))
    apart = name == "frequency" and rfm.one_order == "apart"
    ranked = valued["v"] > 1 if apart else None
    counted = valued.group_by([*within, "v"]).aggregate(n=valued.count(where=ranked))
    reached = counted.mutate(
        upto=counted["n"].sum().over(ibis.cumulative_window(group_by=within, order_by=counted["v"])),
        everybody=counted["n"].sum().over(ibis.window(group_by=within)),
    )
    below = 1 if apart else 0  # edges that are no quantile: the one order
    enough = {p: reached["upto"] * (rfm.bins - below) >= reached["everybody"] * (p - below) for p in places}
    found = {f"{name}_{p}": reached["v"].min(where=enough[p]) for p in places}
    edges = reached.group_by(within).aggregate(**found) if within else reached.aggregate(**found)
    if not apart:
        return edges
    # The first edge is one order; where nobody has more, so are all.
    one_order = ibis.literal(1).cast(reached["v"].type())
    high = {edge: ibis.greatest(edges[edge], one_order) for edge in found}
    return edges.mutate(**{**high, f"{name}_1": one_order})


def _thresholds(scored: ibis.Table, rfm: Rfm, kinds: Mapping[str, DataType]) -> ibis.Table:
    """One row: where near (recency) and high (frequency, monetary) begin."""
    fixed = rfm.quadrant_threshold
    if isinstance(fixed, dict):
        one = scored.aggregate(persons=scored.count())
        return one.select(**{f"{name}_high": ibis.literal(float(fixed[name])) for name in MEASURES})  # type: ignore[index]
    if fixed == "mean":
        persons = scored.count().nullif(0).cast("float64")
        sums = {name: convert(total(scored[name], kind), summed(kind), FLOAT) for name, kind in kinds.items()}
        return scored.aggregate(**{f"{name}_high": found / persons for name, found in sums.items()})
    halves = [_middle(scored, name) for name in MEASURES]
    return halves[0].cross_join(halves[1]).cross_join(halves[2])


def _middle(scored: ibis.Table, name: str) -> ibis.Table:
    """The median as the smallest value that half of the persons do not exceed."""
    counted = scored.group_by(name).aggregate(n=lambda t: t.count())
    reached = counted.mutate(
        upto=counted["n"].sum().over(ibis.cumulative_window(order_by=counted[name])),
        everybody=counted["n"].sum().over(ibis.window()),
    )
    half = reached["upto"] * 2 >= reached["everybody"]
    return reached.aggregate(**{f"{name}_high": reached[name].min(where=half).cast("float64")})


def _signed(table: ibis.Table, name: str) -> ir.Value:
    return -table[name] if name == "recency" else table[name]


def _score(table: ibis.Table, rfm: Rfm, name: str) -> ir.Value:
    value = _signed(table, name)
    passed = [(value > table[f"{name}_{place}"]).cast("int64") for place in range(1, rfm.bins)]
    return sum(passed, start=ibis.literal(1, "int64"))


def _quadrant(table: ibis.Table) -> ir.StringValue:
    """Three digits: R near (at most the threshold), F high, M high (at least the threshold)."""
    near = table["recency"].cast("float64") <= table["recency_high"]
    high = [table[name].cast("float64") >= table[f"{name}_high"] for name in ("frequency", "monetary")]
    first, second, third = (mark.cast("int64").cast("string") for mark in (near, *high))
    return first.concat(second, third)


def _tier(rfm: Rfm, r: ir.Value, f: ir.Value, m: ir.Value) -> ir.StringValue:
    """The first tier whose scores fit; the model refused tiers that leave a cell unnamed."""
    branches = []
    for tier in rfm.named_tiers:
        wanted = [(r, tier.r), (f, tier.f), (m, tier.m)]
        fits = [value.isin(scores) for value, scores in wanted if scores]
        branches.append((ibis.and_(*fits) if fits else ibis.literal(True), ibis.literal(tier.code)))
    return ibis.cases(*branches, else_=ibis.null("string"))
