"""What came of a trigger, counted: entries by arm with their conversions, and the messages that went to them.

Everybody who entered is counted in the arm drawn on entering, whatever was sent to them (intention to treat; Fisher,
The Design of Experiments, 1935). A person counts once, with the first entry behind a draw: who comes again may do so
because of what was sent. It counts when its window is over, so nobody is looked at before (a fixed horizon). A
trigger with a holdout of its own is compared with that, so that others' messages reach both arms alike; another one
with the holdout over all triggers. Reads the trigger's table, the rows of the
conversion's fact and, as ``OUTCOMES``, what became of each message.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.partials import time_of
from valtag_assets.engine.persons import OWNER, PERSON, keyed
from valtag_assets.engine.session import unbound
from valtag_assets.engine.sums import summed, total
from valtag_assets.engine.trigger_state import ENTERED_AS, SEEN, entry_key
from valtag_assets.engine.triggers import state_table, triggers_name
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import convert
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.resolved_delivery import ResolvedEffect, ResolvedTrigger
from valtag_assets.spec.types import DataType, decimal

OUTCOMES = "outcomes"
FLAGS = ("planned", "sent", "delivered", "opened", "clicked", "converted", "unsubscribed", "bounced")
ALL = "all"
LEVELS = 5
SUMS = ("y", "yy", "x", "xx", "xy")
# Decisions behind the draw of the arm: who got one of them was treated or held out by lot alone.
_DRAWN = ("planned", "control", "test", "over_budget")
# Of one person, and its products: decimals, so that every engine finds the same sums.
MONEY, SQUARE = decimal(18, 4), decimal(36, 8)
NOTHING = ibis.literal(Decimal(0), "decimal(18,4)")
_ORDERED = ("integer", "decimal", "float", "date", "timestamp")


def outcomes_table() -> ibis.Table:
    """What became of each message of the trigger, as an unbound table: whose entry, which step, where to, and a
    boolean for each of ``FLAGS``."""
    names = {PERSON: "string", "entry": "int64", "step": "string", "destination": "string"}
    return unbound(OUTCOMES, names | dict.fromkeys(FLAGS, "boolean"))


def effects_name(trigger: str) -> str:
    """The table key of what came of a trigger."""
    return f"effects/{trigger}"


def arms_expression(
    resolved: Resolved,
    trigger: ResolvedTrigger,
    columns: Mapping[str, DataType],
    as_of: date,
    *,
    linked: bool = False,
) -> ibis.Table:
    """(period, treated; entered, not_over, n, converted, and ``SUMS`` as decimals): a row per month of entering and
    arm, and one of all months. y: revenue after, x: the value adjusted by.

    ``linked``: the trigger's table says under which id a person entered; also ``crossed``, the persons of each arm
    who are in the other one, too, and so count in none.
    """
    rows = _periods(_judged(resolved, trigger, columns, as_of, linked=linked))
    counted = rows.counted
    y, x = rows.revenue, rows.known
    products = {"y": y, "yy": y * y, "x": x, "xx": x * x, "xy": x * y}
    found = rows.group_by("period", "treated").aggregate(
        entered=rows.count(),
        not_over=rows.count(where=~rows.due),
        n=rows.count(where=counted),
        converted=rows.count(where=counted & rows.hit),
        **{name: total(value, MONEY if name in ("y", "x") else SQUARE, counted) for name, value in products.items()},
        **({"crossed": rows[PERSON].nunique(where=rows.crossed)} if linked else {}),
    )
    return found.order_by("period", "treated")


def funnel_expression(
    resolved: Resolved,
    trigger: ResolvedTrigger,
    columns: Mapping[str, DataType],
    as_of: date,
    *,
    linked: bool = False,
) -> ibis.Table:
    """(period, step, destination; one count per flag, ``counted``: those sent to entries that are counted)."""
    entries = _periods(_judged(resolved, trigger, columns, as_of, linked=linked))
    who, entry = entry_key(linked=linked)
    entries = entries.select("period", "counted", _person=entries[who], _entry=entries[entry])
    told = outcomes_table()
    rows = told.inner_join(entries, [told[PERSON] == entries._person, told.entry == entries._entry])
    found = rows.group_by("period", "step", "destination").aggregate(
        **{flag: rows.count(where=rows[flag]) for flag in FLAGS},
        counted=rows.count(where=rows.sent & rows.counted),
    )
    return found.order_by("period", "step", "destination")


def levels_expression(
    resolved: Resolved,
    trigger: ResolvedTrigger,
    columns: Mapping[str, DataType],
    as_of: date,
    *,
    linked: bool = False,
) -> ibis.Table | None:
    """(tag, level, holder, treated; persons, converted) of every value kept, among those counted who have one.

    Numbers and dates: fifths by rank, equal values together; holders are the upper half. Texts: the four commonest
    values and the others; holders have the commonest. None where nothing is kept.
    """
    rows = _periods(_judged(resolved, trigger, columns, as_of, linked=linked))
    rows = rows.filter(rows.counted & (rows.period == ALL))
    parts = [_levels(rows, code, kind) for code, kind in sorted(columns.items()) if kind.kind != "list"]
    if not parts:
        return None
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return found.order_by("tag", "level", "holder", "treated")


def _judged(
    resolved: Resolved, trigger: ResolvedTrigger, columns: Mapping[str, DataType], as_of: date, *, linked: bool
) -> ibis.Table:
    """Every entry behind the draw: ``treated``, ``due`` (its window is over), ``hit``, ``revenue``, ``known``."""
    effect = trigger.effect
    assert effect is not None
    table = state_table(triggers_name(trigger.code), columns, linked=linked)
    table = table.filter(table.entered.notnull() & table.decision.isin(_DRAWN))
    if trigger.spec.holdout is not None:
        table = table.filter(table.arm != "global_control")
    last = ibis.literal(as_of - timedelta(days=effect.spec.within))
    known: ir.Value = NOTHING
    adjust = effect.spec.adjust
    if adjust is not None and adjust in columns:
        known = ibis.coalesce(convert(table[f"{SEEN}{adjust}"], columns[adjust], MONEY), NOTHING)
    table = table.mutate(treated=table.arm == "treated", due=table.entered <= last, known=known)
    who, entry = entry_key(linked=linked)
    won = _conversions(resolved, effect, table.mutate(_key=table[who]), as_of)
    table = table.left_join(won, [table[who] == won._owner, table[entry] == won._entry])
    hit = table._hits.notnull()
    return table.mutate(hit=hit, revenue=ibis.coalesce(table._revenue, NOTHING))


def _conversions(resolved: Resolved, effect: ResolvedEffect, entries: ibis.Table, as_of: date) -> ibis.Table:
    """(_owner, _entry, _hits, _revenue) of entries with a conversion in their window: from the day after entering on,
    or after the event that made a person enter. ``_key`` of the entries, and ``_owner``: the id entered under."""
    source = resolved.sources[effect.spec.fact]
    moment = time_of(source).code
    read = frozenset({moment}).union(*(names_read(node) for node in (effect.where, effect.value) if node is not None))
    rows = keyed(source, read)
    kept = rows[OWNER].notnull() & (rows[moment].cast("date") <= ibis.literal(as_of))
    if effect.where is not None:
        kept = kept & compile_condition(effect.where, rows, as_of)
    rows = rows.filter(kept)
    worth: ir.Value = NOTHING
    if effect.value is not None and effect.value.type is not None:
        worth = ibis.coalesce(convert(compile_value(effect.value, rows, as_of), effect.value.type, MONEY), NOTHING)
    rows = rows.select(_owner=rows[OWNER], _at=rows[moment].cast("timestamp(6)"), _worth=worth)
    whose = entries.select(
        _person=entries[PERSON],
        _key=entries._key,
        _entry=entries.entry,
        _in=entries.entered,
        _event=entries.event_at,
    )
    both = rows.inner_join(whose, rows._owner == whose._person)
    days = both._at.date().delta(both._in, unit="day")
    after = ibis.ifelse(both._event.isnull(), days >= 1, ibis.coalesce(both._at > both._event, ibis.literal(False)))
    both = both.filter(after & (days <= effect.spec.within))
    return (
        both.group_by("_key", "_entry")
        .aggregate(_hits=both.count(), _revenue=convert(total(both._worth, MONEY), summed(MONEY), MONEY))
        .rename(_owner="_key")
    )


def _periods(rows: ibis.Table) -> ibis.Table:
    """Each entry in its month and in all of them; ``counted``: the person's first, if its window is over and the
    person is not ``crossed``."""
    linked = ENTERED_AS in rows.columns
    order = [rows.entered, rows.entry, *([rows[ENTERED_AS]] if linked else [])]
    rows = rows.mutate(_place=ibis.row_number().over(ibis.window(group_by=PERSON, order_by=order)))
    rows = _crossed(rows) if linked else rows.mutate(crossed=ibis.literal(False))
    rows = rows.mutate(counted=rows.due & (rows._place == 0) & ~rows.crossed)
    months = rows.mutate(period=rows.entered.strftime("%Y-%m"))
    return ibis.union(months, rows.mutate(period=ibis.literal(ALL)))


def _crossed(rows: ibis.Table) -> ibis.Table:
    """``crossed``: the person was thought to be two, and was drawn into both arms: neither says what was done."""
    own = ibis.window(group_by=ENTERED_AS, order_by=[rows.entered, rows.entry])
    rows = rows.mutate(_own=ibis.row_number().over(own))
    arm = ibis.ifelse(rows._own == 0, rows.treated.cast("int64"), ibis.null("int64"))
    rows = rows.mutate(_arm=arm)
    everyone = ibis.window(group_by=PERSON)
    return rows.mutate(crossed=rows._arm.max().over(everyone) != rows._arm.min().over(everyone))


def _levels(rows: ibis.Table, code: str, kind: DataType) -> ibis.Table:
    value = rows[f"{SEEN}{code}"]
    rows = rows.select("treated", "hit", PERSON, _value=value).filter(value.notnull())
    everybody = rows.count().over(ibis.window())
    if kind.kind in _ORDERED:
        rows = rows.mutate(_rank=ibis.rank().over(ibis.window(order_by=rows._value)), _n=everybody)
        level, holder = rows._rank * LEVELS // rows._n, rows._rank * 2 >= rows._n
    elif kind.kind == "boolean":
        level, holder = rows._value.cast("int64"), rows._value
    else:
        common = rows.group_by("_value").aggregate(_many=rows.count()).rename(_other="_value")
        place = ibis.row_number().over(ibis.window(order_by=[common._many.desc(), common._other]))
        common = common.mutate(_place=place)
        rows = rows.inner_join(common, rows._value == common._other)
        level, holder = ibis.least(rows._place, ibis.literal(LEVELS - 1)), rows._place == 0
    rows = rows.mutate(level=level.cast("int64"), holder=holder)
    found = rows.group_by("level", "holder", "treated").aggregate(
        persons=rows.count(), converted=rows.count(where=rows.hit)
    )
    return found.select("level", "holder", "treated", "persons", "converted", tag=ibis.literal(code))
