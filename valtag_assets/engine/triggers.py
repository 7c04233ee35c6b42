"""Triggers: who enters at an as-of, what is decided about each, which steps are due. State in, state out.

The table of a trigger has one row per (person, entry): everybody who ever entered, and those who wait to. It is made
from the table of the as-of before (``PRIOR``), from what was decided at this as-of already (``KEPT``: a second run
decides nothing twice), and from what holds for each person now. No clock and no lot but hashes of persons.

An entry is an edge: a person for whom the rule holds enters once, until it no longer held.
"""

from collections.abc import Mapping
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.partials import order_of, time_of
from valtag_assets.engine.persons import OWNER, PERSON, beside, keyed, persons_table
from valtag_assets.engine.rules import rule_table, with_columns
from valtag_assets.engine.segments import HELD_OUT, drawn, lot
from valtag_assets.engine.session import unbound
from valtag_assets.engine.sums import total
from valtag_assets.engine.trigger_persons import as_persons_are_now, one_goes_on
from valtag_assets.engine.trigger_state import (
    COUNTED,
    ENTERED_AS,
    MONEY,
    SEEN,
    TEST,
    Planning,
    entry_key,
    state_schema,
)
from valtag_assets.engine.trigger_steps import Openness, openness, settle_later
from valtag_assets.expression.compile import compile_condition
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolve_trigger import EXCLUDE, TESTED, WHEN
from valtag_assets.spec.project import GlobalHoldout
from valtag_assets.spec.types import INTEGER, DataType

PRIOR, KEPT = "prior", "kept"


def triggers_name(code: str) -> str:
    """The table key of a trigger."""
    return f"triggers/{code}"


def state_table(name: str, columns: Mapping[str, DataType], *, linked: bool = False) -> ibis.Table:
    """A trigger's table as an unbound table called ``name``; ``columns``: the tags whose values it keeps;
    ``linked``: it says under which id a person entered."""
    return unbound(name, state_schema(columns, linked=linked))


def trigger_expression(planning: Planning) -> ibis.Table:
    """The table of the trigger at the as-of, sorted by person and entry.

    Reads the population and what the rules read, ``PRIOR`` and ``KEPT`` where there are any; where ids may come and
    go, also identity/successors.
    """
    now = _now(planning)
    prior, kept = _stored(planning, PRIOR), _stored(planning, KEPT)
    today = ibis.literal(planning.as_of)
    kept = kept.filter((kept.entered == today) | (kept.stepped == today) | (kept.exited == today))
    history = _history(planning, prior, kept)
    waiting = prior.filter(prior.entered.isnull()).anti_join(kept, PERSON)
    found = _candidates(planning, _with_past(planning, now, history, waiting))
    new = _decided(planning, found, history)
    old = _continued(planning, history, now, new)
    return ibis.union(old, new).order_by(PERSON, "entry", *([ENTERED_AS] if planning.linked else []))


def decisions_expression(planning: Planning) -> ibis.Table:
    """What this as-of decided, and who waits: ``decided_expression`` of the table that was written."""
    return decided_expression(planning, state_table(triggers_name(planning.trigger.code), planning.carried))


def decided_expression(planning: Planning, table: ibis.Table) -> ibis.Table:
    """(decision, reason, arm, n, messages, cost) of the state ``table``: what its as-of decided, and who waits."""
    now = table.filter((table.entered == ibis.literal(planning.as_of)) | table.entered.isnull())
    found = now.group_by("decision", "reason", "arm").aggregate(
        n=now.count(), messages=total(now.messages, INTEGER).cast("int64"), cost=now.cost.sum().cast("float64")
    )
    return found.order_by("decision", "reason", "arm")


def versions_expression(planning: Planning) -> ibis.Table:
    """(version, last): when somebody last entered on each version."""
    table = state_table(triggers_name(planning.trigger.code), planning.carried)
    entered = table.filter(table.entered.notnull())
    return entered.group_by("version").aggregate(last=entered.entered.max()).order_by("version")


def _stored(planning: Planning, name: str) -> ibis.Table:
    """The state published before, with the columns of the present one; no rows where nothing was."""
    columns, schema = planning.stored.get(name), planning.schema
    if columns is None:
        nobody = persons_table().filter(ibis.literal(False))
        return nobody.select(**{column: ibis.literal(None, kind) for column, kind in schema.items()})
    table = state_table(name, columns, linked=name in planning.said)
    table = table.select(
        **{c: table[c] if c in table.columns else ibis.literal(None, kind) for c, kind in schema.items()}
    )
    return as_persons_are_now(table) if planning.linked else table


def _history(planning: Planning, prior: ibis.Table, kept: ibis.Table) -> ibis.Table:
    """Every entry decided so far. ``is_open``: whether its spell had not ended at the as-of before."""
    decided = prior.filter(prior.entered.notnull())
    who, entry = entry_key(linked=planning.linked)
    before = decided.select(_who=decided[who], _entry=decided[entry], _was=decided.is_open)
    history = ibis.union(decided.anti_join(kept, [who, entry]), kept)
    same = [history[who] == before._who, history[entry] == before._entry]
    history = history.left_join(before, same).drop("_who", "_entry")
    lasts = planning.trigger.event is None
    new = (history.entered == ibis.literal(planning.as_of)) & lasts
    history = history.mutate(is_open=ibis.coalesce(history._was, new)).drop("_was")
    return one_goes_on(history) if planning.linked else history


def _continued(planning: Planning, history: ibis.Table, now: ibis.Table, new: ibis.Table) -> ibis.Table:
    """The earlier entries as they stand at the as-of: whether the spell goes on, later steps, the goal."""
    values = [name for name in now.columns if name.startswith(SEEN)]
    table = beside(history, now.drop(*values))
    table = beside(table, new.select(PERSON).distinct().mutate(_new=ibis.literal(True)))
    table = table.mutate(_place=_newest_first(table))
    holds = table[f"_{WHEN}"] if WHEN in planning.trigger.rules else ibis.literal(False)
    still = ibis.coalesce(holds, ibis.literal(False)) & (table._place == 0) & table._new.isnull()
    table = table.mutate(is_open=table.is_open & still)
    return settle_later(planning, table).select(*planning.schema.names)


def _now(planning: Planning) -> ibis.Table:
    """(person_id; one boolean per rule; ``seen_<tag>`` of each value kept)."""
    resolved = planning.resolved
    table = rule_table(resolved, planning.rules(), planning.as_of)
    table = with_columns(resolved, table, planning.trigger.columns)
    return table.rename({f"{SEEN}{code}": code for code in planning.trigger.columns})


def _with_past(planning: Planning, now: ibis.Table, history: ibis.Table, waiting: ibis.Table) -> ibis.Table:
    """``now`` with each person's last entry, how often and when last that counted, and since when it waits."""
    newest = _newest(history)
    last = newest.select(
        PERSON,
        _entry=newest._most,
        _open=newest.is_open,
        _entered=newest.entered,
        _since=newest.since,
        _rehearsed=newest.decision == TEST,
        _event_at=newest._latest,
    )
    kinds = [decision for decision in COUNTED if decision != TEST or planning.trigger.spec.test is not None]
    counted = history.filter(history.decision.isin(kinds))
    times = counted.group_by(PERSON).aggregate(_times=counted.count(), _counted_at=counted.entered.max())
    waits = waiting.group_by(PERSON).aggregate(_waits_since=waiting.since.min())
    return beside(beside(beside(now, last), times), waits)


def _newest(history: ibis.Table) -> ibis.Table:
    """Each person's last entry, with the highest number and the latest event of all of them."""
    everyone = ibis.window(group_by=PERSON)
    placed = history.mutate(
        _place=_newest_first(history),
        _most=history.entry.max().over(everyone),
        _latest=history.event_at.max().over(everyone),
    )
    return placed.filter(placed._place == 0).drop("_place")


def _newest_first(history: ibis.Table) -> ir.IntegerValue:
    """The place of an entry among those of its person, from 0: the open one first, then the newest.

    Numbers alone would do but for persons who turned out to be one, whose entries were counted apart.
    """
    ids = [history[ENTERED_AS]] if ENTERED_AS in history.columns else []
    order = [history.is_open.cast("int64").desc(), history.entered.desc(), history.entry.desc(), *ids]
    return ibis.row_number().over(ibis.window(group_by=PERSON, order_by=order))


def _candidates(planning: Planning, table: ibis.Table) -> ibis.Table:
    """Who might enter now: ``table`` with ``since``, ``event``, ``event_at``, ``_ready`` and ``_cooling``."""
    spec, nothing = planning.trigger.spec, ibis.literal(False)
    holds = ibis.coalesce(table[f"_{WHEN}"], nothing) if WHEN in planning.trigger.rules else ibis.literal(True)
    today = ibis.literal(planning.as_of)
    if planning.trigger.event is not None:
        table = table.inner_join(_events(planning), PERSON)
        new = table._event_at.isnull() | (table.event_at > table._event_at)
        table = table.mutate(since=table.event_at.date(), _ready=ibis.literal(True)).filter(holds & new)
    else:
        inside = ibis.coalesce(table._open, nothing)
        if spec.test is None:
            # A rehearsal that is over has not used anybody up: in earnest they enter.
            inside = inside & ~ibis.coalesce(table._rehearsed, nothing)
        enters = ~inside
        since = ibis.coalesce(table._waits_since, today)
        if spec.on.each is not None:
            again = inside & ibis.coalesce(table._entered <= planning.back(spec.on.each), nothing)
            since = ibis.coalesce(table._waits_since, ibis.ifelse(again, table._since, today))
            enters = enters | again
        table = table.filter(holds & enters).mutate(
            since=since,
            event=ibis.literal(None, "string"),
            event_at=ibis.literal(None, "timestamp(6)"),
            _ready=since <= planning.back(spec.dwell - 1),
        )
    cooling = nothing
    if spec.again.cooldown is not None:
        cooling = ibis.coalesce(table._counted_at > planning.back(spec.again.cooldown), nothing)
    table = table.mutate(_cooling=cooling)
    return table if planning.runs else table.filter(ibis.literal(False))


def _events(planning: Planning) -> ibis.Table:
    """(person_id, event, event_at): the newest row of each person that may start the trigger."""
    trigger = planning.trigger
    event = trigger.spec.on.event
    assert event is not None and trigger.event is not None
    source = planning.resolved.sources[trigger.event]
    order = order_of(source)
    names = frozenset(item.code for item in order) | frozenset(source.spec.key)
    rows = keyed(source, names | (names_read(trigger.event_where) if trigger.event_where is not None else set()))
    kept = rows[OWNER].notnull() & (rows[time_of(source).code].date() >= planning.back(event.late - 1))
    if trigger.event_where is not None:
        kept = kept & compile_condition(trigger.event_where, rows, planning.as_of)
    rows = rows.filter(kept)
    window = ibis.window(group_by=OWNER, order_by=[rows[item.code].desc() for item in order])
    rows = rows.mutate(_place=ibis.row_number().over(window))
    key: ir.Value = ibis.literal("")
    for number, name in enumerate(source.spec.key):
        key = key + ("|" if number else "") + ibis.coalesce(rows[name].cast("string"), ibis.literal(""))
    at = rows[time_of(source).code].cast("timestamp(6)")
    rows = rows.select(**{PERSON: rows[OWNER], "event": key, "event_at": at, "_place": rows._place})
    return rows.filter(rows._place == 0).drop("_place")


def _decided(planning: Planning, table: ibis.Table, history: ibis.Table) -> ibis.Table:
    """The rows of those who enter or wait, with decision and reason."""
    spec = planning.trigger.spec
    step = openness(table, planning.trigger, planning.costs)
    waits = ~table._ready | table._cooling if spec.again.latch else ~table._ready
    control, arm = _arms(planning, table)
    table = table.mutate(
        _decision=_decision(planning, table, step, control),
        _arm=arm,
        _steps=step.steps,
        _refused=step.refused,
        _messages=step.messages,
        _cost=step.cost,
        _waits=waits,
    )
    table = _within_budget(planning, table, history)
    planned, entering = table._decision == "planned", ~table._waits
    reason = ibis.ifelse(table._ready, "cooldown", "dwell")
    values = {
        PERSON: table[PERSON],
        ENTERED_AS: table[PERSON],
        "entry": ibis.coalesce(table._entry, ibis.literal(0, "int64")) + 1,
        "since": table.since,
        "is_open": entering & ibis.literal(planning.trigger.event is None),
        "entered": ibis.ifelse(entering, ibis.literal(planning.as_of), ibis.literal(None, "date")),
        "decision": ibis.ifelse(entering, table._decision, "waiting"),
        "reason": ibis.ifelse(entering, table._refused, reason),
        "arm": table._arm,
        "steps": ibis.ifelse(entering & table._decision.isin(COUNTED), table._steps, ""),
        "messages": ibis.ifelse(entering & planned, table._messages, 0),
        "cost": ibis.ifelse(entering & planned, table._cost, ibis.literal(Decimal(0))),
        "version": ibis.literal(planning.version),
        "stepped": ibis.literal(None, "date"),
        "exited": ibis.literal(None, "date"),
        "event": table.event,
        "event_at": table.event_at,
    }
    return _formed(planning, table, values)


def _arms(planning: Planning, table: ibis.Table) -> tuple[ir.BooleanValue, ir.StringValue]:
    """Whether each person is held out, and the arm: the same on every run."""
    everywhere, own = ibis.literal(False), ibis.literal(False)
    shared: GlobalHoldout | None = planning.resolved.catalog.project.contact.holdout
    if shared is not None:
        everywhere = drawn(table, f"global {HELD_OUT}:{shared.seed}", shared.share)
    if planning.trigger.spec.holdout is not None:
        own = drawn(table, f"{HELD_OUT}:{planning.trigger.spec.holdout.seed}", planning.trigger.spec.holdout.share)
    arm = ibis.cases((everywhere, "global_control"), (own, "control"), else_="treated")
    return everywhere | own, arm


def _decision(planning: Planning, table: ibis.Table, step: Openness, control: ir.BooleanValue) -> ir.StringValue:
    """The first gate that stops each person, or ``planned``; the budget is asked after all others."""
    spec, gates = planning.trigger.spec, list[tuple[ir.BooleanValue, str | ir.StringValue]]()
    if planning.first and spec.backlog == "skip":
        gates.append((ibis.literal(True), "backlog"))
    if spec.again.most is not None:
        gates.append((ibis.coalesce(table._times, ibis.literal(0, "int64")) >= spec.again.most, "no_more"))
    if spec.again.cooldown is not None:
        gates.append((table._cooling, "cooldown"))
    if EXCLUDE in planning.trigger.rules:
        gates.append((table[f"_{EXCLUDE}"], "excluded"))
    gates.append((step.stopped, step.why))
    if spec.test is not None:
        tested = table[f"_{TESTED}"] if TESTED in planning.trigger.rules else ibis.literal(False)
        gates.append((~tested, TEST))
    gates.append((control, "control"))
    return ibis.cases(*gates, else_="planned")


def _within_budget(planning: Planning, table: ibis.Table, history: ibis.Table) -> ibis.Table:
    """``planned`` becomes ``over_budget`` behind the last one that fits; the order is drawn by lot."""
    budget = planning.trigger.spec.budget
    if budget is None:
        return table
    nothing = ibis.literal(0, "int64"), ibis.literal(Decimal(0), MONEY)
    spent = history.aggregate(
        _messages_spent=ibis.coalesce(total(history.messages, INTEGER).cast("int64"), nothing[0]),
        _cost_spent=ibis.coalesce(history.cost.sum().cast(MONEY), nothing[1]),
    )
    going = (table._decision == "planned") & ~table._waits
    table = table.mutate(
        _one=ibis.ifelse(going, table._messages, nothing[0]),
        _price=ibis.ifelse(going, table._cost, nothing[1]),
        _lot=lot(table, f"budget {planning.trigger.code}"),
    ).cross_join(spent)
    before = ibis.window(preceding=None, following=0, order_by=[table._lot, table[PERSON]])
    over = ibis.literal(False)
    if budget.messages is not None:
        over = over | (table._messages_spent + table._one.sum().over(before) > budget.messages)
    if budget.cost is not None:
        limit = ibis.literal(budget.cost, MONEY)
        over = over | (table._cost_spent + table._price.sum().over(before).cast(MONEY) > limit)
    stopped = (table._decision == "planned") & over
    return table.mutate(_decision=ibis.ifelse(stopped, "over_budget", table._decision))


def _formed(planning: Planning, table: ibis.Table, values: Mapping[str, ir.Value]) -> ibis.Table:
    """``table`` as rows of the state."""
    schema = planning.schema
    found = dict(values)
    for name in schema.names:
        if name not in found:
            found[name] = table[name] if name in table.columns else ibis.literal(None, schema[name])
    return table.select(**{name: found[name].cast(schema[name]) for name in schema.names})
