"""Audiences: who is a member at an as-of date."""

from collections.abc import Iterable, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.lists import list_table
from valtag_assets.engine.persons import PERSON, beside
from valtag_assets.engine.rules import HOLDOUT, rule_table, segment_table, with_columns
from valtag_assets.engine.session import unbound
from valtag_assets.engine.successors import renamed
from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import Ordered, Resolved, ResolvedSegment
from valtag_assets.expression.rule import Member
from valtag_assets.spec.segment import Cap, Sample

_DRAWN = "_drawn"
_PLACE = "_place"
HELD_OUT = "holdout"
# The first eight hexadecimal digits of a digest decide a draw: shares are met to 2**-32.
_DIGITS = 8
MATCHES = "matches"


def matches_table(segments: Sequence[str]) -> ibis.Table:
    """Whose rule holds, as an unbound table: (person_id, one boolean per segment)."""
    return unbound(MATCHES, {PERSON: "string", **dict.fromkeys(segments, "boolean")})


def matches_expression(resolved: Resolved, segments: Sequence[ResolvedSegment], as_of: date) -> ibis.Table:
    """The rows of ``matches_table``, sorted by person."""
    return rule_table(resolved, {segment.code: segment.rule for segment in segments}, as_of).order_by(PERSON)


def segment_expression(
    resolved: Resolved, segment: ResolvedSegment, as_of: date, matches: ibis.Table | None = None
) -> ibis.Table:
    """(person_id, is_holdout) of the members, sorted.

    ``matches``: a table whose column of the segment's code says whether the rule holds; worked out if left out.
    """
    if matches is None:
        matches = rule_table(resolved, {segment.code: segment.rule}, as_of)
    table = without(matches.filter(matches[segment.code]).select(PERSON), barriers(segment))
    spec = segment.spec
    if spec.sample is not None:
        table = _sampled(table, spec.sample)
    if spec.caps or spec.limit is not None:
        read = frozenset(cap.per for cap in spec.caps).union(*(names_read(step.node) for step in segment.order))
        table = with_columns(resolved, table, read)
        for cap in spec.caps:
            table = _capped(table, cap, segment.order, as_of)
        if spec.limit is not None:
            table = table.order_by(_order(table, segment.order, as_of)).limit(spec.limit)
        table = table.select(PERSON)
    held_out = ibis.literal(False)
    if spec.holdout is not None:
        # A draw of its own: with the sample's, an audience sampled by the same seed would hold out its first members.
        held_out = drawn(table, f"{HELD_OUT}:{spec.holdout.seed}", spec.holdout.share)
    return table.mutate(**{HOLDOUT: held_out}).order_by(PERSON)


def without(table: ibis.Table, members: Iterable[Member]) -> ibis.Table:
    """The rows of ``table`` whose persons are in none of these segments and lists."""
    for member in members:
        others = list_table(member.code) if member.kind == "list" else segment_table(member.code)
        table = table.anti_join(others, PERSON)
    return table


def stages_expression(segment: ResolvedSegment, persons: ibis.Table) -> ibis.Table:
    """What stands between a rule that holds and membership: (person_id, ``_barred<n>`` of each exclusion and each
    audience above it in the waterfall, ``_drawn`` of a sampled share) of ``persons``."""
    table = persons
    for number, member in enumerate(barriers(segment)):
        others = list_table(member.code) if member.kind == "list" else segment_table(member.code)
        table = beside(table, others.select(PERSON, **{f"_barred{number}": ibis.literal(True)}))
    barred = {name: ibis.coalesce(table[name], ibis.literal(False)) for name in table.columns if name != PERSON}
    sample = segment.spec.sample
    share = sample.share if sample is not None else None
    taken = ibis.literal(True) if sample is None or share is None else drawn(table, sample.seed, share)
    return table.select(PERSON, **barred, **{_DRAWN: taken})


def barriers(segment: ResolvedSegment) -> list[Member]:
    """Whose members are not in the audience, whatever its rule says."""
    return [*segment.excluded, *(Member("segment", code) for code in segment.above)]


def changes_expression(segment: str, previous: str = "previous", *, linked: bool = False) -> ibis.Table:
    """One row: how many members are new since the ``previous`` snapshot, and how many have left.

    ``linked``: ids may come and go; members who turned out to be one have neither come nor left.
    """
    now, before = segment_table(segment).select(PERSON), unbound(previous, {PERSON: "string"})
    before = renamed(before).distinct() if linked else before
    entries = now.anti_join(before, PERSON)
    exits = before.anti_join(now, PERSON)
    return entries.aggregate(entries=entries.count()).cross_join(exits.aggregate(exits=exits.count()))


def lot(table: ibis.Table, seed: int | str) -> ir.StringValue:
    """A number between 0 and 1 for each person, the same for ever, as hexadecimal text: what lots are drawn by."""
    return (ibis.literal(f"{seed}:") + table[PERSON]).hexdigest("md5")


def drawn(table: ibis.Table, seed: int | str, share: float) -> ir.BooleanValue:
    """Whether each person is among the ``share`` that ``seed`` draws."""
    threshold = round(share * 16**_DIGITS)
    if threshold >= 16**_DIGITS:
        return ibis.literal(True)
    return lot(table, seed).substr(0, _DIGITS) < f"{threshold:0{_DIGITS}x}"


def _sampled(table: ibis.Table, sample: Sample) -> ibis.Table:
    if sample.share is not None:
        return table.filter(drawn(table, sample.seed, sample.share))
    assert sample.count is not None
    return drawn_first(table, sample.seed, sample.count)


def drawn_first(table: ibis.Table, seed: int, how_many: int) -> ibis.Table:
    """(person_id) of so many persons of ``table``, the same ones for the same persons and seed."""
    drawn = table.mutate(**{_DRAWN: lot(table, seed)})
    return drawn.order_by(drawn[_DRAWN], drawn[PERSON]).limit(how_many).select(PERSON)


def _order(table: ibis.Table, order: Sequence[Ordered], as_of: date) -> list[ir.Value]:
    """Who comes first: by each step, those without a value last; then by the person's id."""
    found: list[ir.Value] = []
    for number, step in enumerate(order):
        # Named, since two steps may order by the same.
        value = compile_value(step.node, table, as_of).name(f"_by{number}")
        # Said in a column of its own: engines differ in where they put nulls.
        found += [value.isnull().name(f"_none{number}"), value.desc() if step.descending else value.asc()]
    return [*found, table[PERSON].asc()]


def _capped(table: ibis.Table, cap: Cap, order: Sequence[Ordered], as_of: date) -> ibis.Table:
    """The first so many of each value; persons without a value are a group of their own."""
    window = ibis.window(group_by=cap.per, order_by=_order(table, order, as_of))
    placed = table.mutate(**{_PLACE: ibis.row_number().over(window)})
    return placed.filter(placed[_PLACE] < cap.at_most).drop(_PLACE)
