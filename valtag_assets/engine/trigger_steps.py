"""The steps of a trigger: which are open to a person who enters, and which later ones are due."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.trigger_state import COUNTED, ENTERED_AS, MERGED, MONEY, Planning
from valtag_assets.expression.resolve_trigger import UNLESS, step_rule
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.spec.trigger import Action


@dataclass(frozen=True)
class Openness:
    """For each person: the ``steps`` planned, as text ``a,b``; those ``refused``, as ``c:no_consent``; how many
    ``messages`` at what ``cost``; whether none is planned (``stopped``), and ``why``."""

    steps: ir.StringValue
    refused: ir.StringValue
    messages: ir.IntegerValue
    cost: ir.DecimalValue
    stopped: ir.BooleanValue
    why: ir.StringValue


def openness(table: ibis.Table, trigger: ResolvedTrigger, costs: Mapping[str, Decimal]) -> Openness:
    """The first steps, over a table with one boolean per rule of the trigger, called ``_<rule>``."""
    spec = trigger.spec
    applies = {a.step: _applies(table, trigger, a, "_") for a in spec.first_steps}
    refusal = {a.step: _refusal(table, trigger, a, "_") for a in spec.first_steps}
    refused = {step: applies[step] & (refusal[step] != "") for step in applies}
    goes = {step: applies[step] & ~refused[step] for step in applies}
    if spec.together:
        all_open = ~reduce(or_, refused.values())
        goes = {step: value & all_open for step, value in goes.items()}
    whys = [(refused[step], refusal[step]) for step in applies]
    return Openness(
        steps=_listed({step: ibis.ifelse(goes[step], step, "") for step in applies}),
        refused=_listed({step: ibis.ifelse(refused[step], step + ":" + refusal[step], "") for step in applies}),
        messages=sum((goes[step].cast("int64") for step in applies), ibis.literal(0, "int64")),
        cost=_cost(goes, costs),
        stopped=~reduce(or_, goes.values()),
        why=ibis.cases(*whys, else_="no_step"),
    )


def settle_later(planning: Planning, table: ibis.Table) -> ibis.Table:
    """The steps that are due by now, each as the version says on which the person entered; and who reached the goal.

    ``table``: earlier entries with one boolean per rule of each version (``Planning.rule``).
    """
    goal = ibis.literal(False)
    for version, trigger in planning.flying.items():
        if UNLESS in trigger.rules:
            goal = goal | ((table.version == version) & _said(table, planning.rule(version, UNLESS)))
    today = ibis.literal(planning.as_of)
    under_way = _goes_on(table) & table.decision.isin(COUNTED) & (table.entered < today)
    table = table.mutate(exited=ibis.ifelse(under_way & goal, today, table.exited))
    for version, trigger in planning.flying.items():
        for action in trigger.spec.later_steps:
            table = _settled(planning, table, version, trigger, action)
    return table


def _settled(
    planning: Planning, table: ibis.Table, version: str, trigger: ResolvedTrigger, action: Action
) -> ibis.Table:
    """One later step of one version: planned, refused or left out, where it is due and was not settled."""
    assert action.wait is not None
    step, prefix = action.step, planning.rule(version, "")
    done = ("," + table.steps + ",").contains(f",{step},") | ("," + table.reason).contains(f",{step}:")
    due = (table.version == version) & table.decision.isin(COUNTED) & _goes_on(table) & ~done
    due = due & (table.entered <= planning.back(action.wait))
    applies, refusal = _applies(table, trigger, action, prefix), _refusal(table, trigger, action, prefix)
    goes = due & applies & (refusal == "")
    why = ibis.ifelse(applies, refusal, "left_out")
    sent = goes & (table.decision == "planned")
    price = ibis.literal(planning.costs.get(step, Decimal(0)), MONEY)
    return table.mutate(
        steps=ibis.ifelse(goes, appended(table.steps, ibis.literal(step)), table.steps),
        reason=ibis.ifelse(due & ~goes, appended(table.reason, step + ":" + why), table.reason),
        messages=table.messages + sent.cast("int64"),
        cost=(table.cost + ibis.ifelse(sent, price, ibis.literal(Decimal(0), MONEY))).cast(MONEY),
        stepped=ibis.ifelse(due, ibis.literal(planning.as_of), table.stepped),
    )


def _applies(table: ibis.Table, trigger: ResolvedTrigger, action: Action, prefix: str) -> ir.BooleanValue:
    name = step_rule(action.step)
    return _said(table, f"{prefix}{name}") if name in trigger.rules else ibis.literal(True)


def _refusal(table: ibis.Table, trigger: ResolvedTrigger, action: Action, prefix: str) -> ir.StringValue:
    """Why the step's channel is closed to the person; empty where it is open."""
    gates: list[tuple[ir.BooleanValue, str]] = []
    channel = trigger.channels.get(action.step, "")
    for name, wanted, why in (
        (f"suppressed_{channel}", False, "suppressed"),
        (f"consent_{channel}", True, "no_consent"),
        (f"reachable_{channel}", True, "no_channel"),
    ):
        if name in trigger.rules:
            said = _said(table, f"{prefix}{name}")
            gates.append((~said if wanted else said, why))
    return ibis.cases(*gates, else_="")


def is_merged(reason: ir.StringValue) -> ir.BooleanValue:
    """Whether an entry was closed since another one of the same person goes on."""
    return ("," + reason + ",").contains(f",{MERGED},")


def _goes_on(table: ibis.Table) -> ir.BooleanValue:
    """Whether later steps may still come: the goal was not reached, and no other entry goes on instead."""
    goes_on: ir.BooleanValue = table.exited.isnull()
    return goes_on & ~is_merged(table.reason) if ENTERED_AS in table.columns else goes_on


def _said(table: ibis.Table, column: str) -> ir.BooleanValue:
    # Nobody's rule holds who is no longer among the persons.
    return ibis.coalesce(table[column], ibis.literal(False))


def _listed(texts: Mapping[str, ir.StringValue]) -> ir.StringValue:
    """The texts that are not empty, with commas between."""
    found: ir.StringValue = ibis.literal("")
    for text in texts.values():
        found = found + ibis.ifelse(text != "", "," + text, "")
    return found.substr(1)


def appended(text: ir.StringValue, more: ir.StringValue) -> ir.StringValue:
    """``text`` with ``more`` behind it, and a comma between."""
    return ibis.ifelse(text == "", more, text + "," + more)


def _cost(goes: Mapping[str, ir.BooleanValue], costs: Mapping[str, Decimal]) -> ir.DecimalValue:
    found: ir.DecimalValue = ibis.literal(Decimal(0), MONEY)
    for step, going in goes.items():
        price = ibis.literal(costs.get(step, Decimal(0)), MONEY)
        found = (found + ibis.ifelse(going, price, ibis.literal(Decimal(0), MONEY))).cast(MONEY)
    return found
