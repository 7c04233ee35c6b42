"""Who did one thing after another: sequences of segment rules.

A step is decided by its neighbour alone: of all earlier steps the latest gives the smallest gap, so one window
over the rows of two steps, in the order of time, tells which rows of the later step continue a sequence. The
work grows with the rows of the facts, not with the pairs of them.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.events import dates_span
from valtag_assets.engine.facts import between
from valtag_assets.engine.partials import time_of
from valtag_assets.engine.persons import OWNER, PERSON, keyed
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.expression.rule import Ordering, Stage

_AT = "_at"
_IS_ANCHOR = "_is_anchor"
_NEAREST = "_nearest"


def sequence_table(sources: Mapping[str, ResolvedSource], ordering: Ordering, as_of: date) -> ibis.Table:
    """(person_id) of those for whom the whole sequence has come about by ``as_of``, each once.

    A later step lies strictly later in time; gaps are counted in local dates. A step that did not happen counts
    only when its days are over.
    """
    first, *later = ordering.stages
    span = dates_span(ordering.dates, as_of)
    rows = _rows(sources[first.fact], first, _carried(later), as_of)
    anchors = rows.filter(*between(rows[_AT], span.first, span.last))
    for number, stage in enumerate(later):
        carried = _carried(later[number:]) if stage.absent else _carried(later[number + 1 :])
        rows = _rows(sources[stage.fact], stage, () if stage.absent else carried, as_of)
        anchors = _not_followed(anchors, rows, stage, as_of) if stage.absent else _continuing(anchors, rows, stage)
    return anchors.select(**{PERSON: anchors[OWNER]}).distinct()


def _carried(later: Sequence[Stage]) -> tuple[str, ...]:
    """The fields of a step that happened which the steps behind it are compared with."""
    found: set[str] = set()
    for stage in later:
        found.update(earlier for _, earlier in stage.same)
        if not stage.absent:
            break
    return tuple(sorted(found))


def _rows(source: ResolvedSource, stage: Stage, carried: Sequence[str], as_of: date) -> ibis.Table:
    """The rows of a step up to the as-of: person, time, the fields carried on and those compared."""
    moment = time_of(source).code
    where = frozenset() if stage.where is None else names_read(stage.where)
    own = [name for name, _ in stage.same]
    table = keyed(source, {moment, *where, *own, *carried})
    kept = [table[OWNER].notnull(), *between(table[moment], None, as_of), *(table[name].notnull() for name in own)]
    if stage.where is not None:
        kept.append(compile_condition(stage.where, table, as_of))
    rows = table.filter(*kept)
    return rows.select(OWNER, *sorted({*own, *carried}), rows[moment].cast("timestamp").name(_AT))


def _continuing(anchors: ibis.Table, rows: ibis.Table, stage: Stage) -> ibis.Table:
    """The rows that come after an anchor, near enough and alike; they are the anchors of the next step."""
    both = _together(anchors, rows, stage, keep=rows)
    # At one instant the row comes first: an anchor of that instant does not lie before it.
    window = ibis.cumulative_window(
        group_by=[OWNER, *_same(stage)], order_by=[both[_AT], both[_IS_ANCHOR].cast("int64")]
    )
    last = ibis.ifelse(both[_IS_ANCHOR], both[_AT], ibis.null("timestamp")).max().over(window)
    both = both.mutate(**{_NEAREST: last})
    near = [] if stage.gap is None else [_days(both[_AT], both[_NEAREST]) <= stage.gap]
    found = both.filter(~both[_IS_ANCHOR], both[_NEAREST].notnull(), *near)
    return found.select(OWNER, _AT, *[name for name in rows.columns if name not in (OWNER, _AT)])


def _not_followed(anchors: ibis.Table, rows: ibis.Table, stage: Stage, as_of: date) -> ibis.Table:
    """The anchors after which no such row came within the days, which must be over."""
    both = _together(anchors, rows, stage, keep=anchors)
    # Backwards in time; at one instant the anchor comes first: a row of that instant does not lie after it.
    window = ibis.cumulative_window(
        group_by=[OWNER, *_same(stage)], order_by=[both[_AT].desc(), (~both[_IS_ANCHOR]).cast("int64")]
    )
    following = ibis.ifelse(both[_IS_ANCHOR], ibis.null("timestamp"), both[_AT]).min().over(window)
    both = both.mutate(**{_NEAREST: following})
    alone = both[_NEAREST].isnull()
    kept = [both[_IS_ANCHOR]]
    if stage.gap is None:
        kept.append(alone)
    else:
        today = ibis.literal(as_of, type="date")
        kept.append(alone | (_days(both[_NEAREST], both[_AT]) > stage.gap))
        kept.append(today.delta(both[_AT].date(), unit="day") >= stage.gap)
    found = both.filter(*kept)
    return found.select(*anchors.columns)


def _together(anchors: ibis.Table, rows: ibis.Table, stage: Stage, keep: ibis.Table) -> ibis.Table:
    """Anchors and rows in one table, what is compared under common names; ``keep``: whose own fields stay."""
    fields = [name for name in keep.columns if name not in (OWNER, _AT)]
    parts = []
    for table, is_anchor in ((anchors, True), (rows, False)):
        compared = {
            name: table[earlier if is_anchor else own]
            for name, (own, earlier) in zip(_same(stage), stage.same, strict=True)
        }
        own_fields = {name: table[name] if table is keep else ibis.null(keep[name].type()) for name in fields}
        parts.append(table.select(OWNER, _AT, **compared, **own_fields, **{_IS_ANCHOR: ibis.literal(is_anchor)}))
    return ibis.union(*parts)


def _same(stage: Stage) -> list[str]:
    return [f"_same{number}" for number in range(len(stage.same))]


def _days(later: ir.TimestampValue, earlier: ir.TimestampValue) -> ir.IntegerValue:
    return later.date().delta(earlier.date(), unit="day")
