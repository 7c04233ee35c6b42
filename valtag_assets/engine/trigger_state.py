"""What the table of a trigger holds, and what one evaluation of a trigger is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import PERSON, Resolved
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.expression.rule import ResolvedRule
from valtag_assets.spec.block import Title
from valtag_assets.spec.types import BOOLEAN, DATE, INTEGER, TEXT, TIMESTAMP, DataType, decimal

# Before the code of a tag: its value when the person entered.
SEEN = "seen_"
MONEY = "decimal(38,4)"
# Decisions that count as an entry for `again`; what was refused may be tried again.
TEST = "test"
COUNTED = ("planned", "control", TEST)
# Why an entry goes no further: two persons with open ones turned out to be one, and the other entry goes on.
MERGED = "merged"
# The id under which a person entered, by which the messages are known; kept where ids may come and go.
ENTERED_AS = "entered_as"

STATE: Mapping[str, tuple[DataType, Title]] = {
    PERSON: (TEXT, Title(zh="个人标识", en="Person")),
    "entry": (INTEGER, Title(zh="第几次进入", en="Number of the entry, from 1")),
    "since": (DATE, Title(zh="条件自何日成立", en="First date of the spell, or date of the event")),
    "is_open": (BOOLEAN, Title(zh="条件仍成立", en="Whether the spell goes on")),
    "entered": (DATE, Title(zh="进入日（统计截止日）", en="As-of of the decision; none while waiting")),
    "decision": (TEXT, Title(zh="决定", en="What was decided")),
    "reason": (TEXT, Title(zh="原因", en="Why; of steps left out as step:reason")),
    "arm": (TEXT, Title(zh="组别", en="treated, control, global_control")),
    "steps": (TEXT, Title(zh="步骤", en="Steps planned so far")),
    "messages": (INTEGER, Title(zh="计划消息数", en="Messages planned")),
    "cost": (decimal(38, 4), Title(zh="计划成本", en="Cost of the messages planned")),
    "version": (TEXT, Title(zh="定义版本", en="Version of the definition entered on")),
    "stepped": (DATE, Title(zh="最近后续步骤日", en="As-of of the last later step")),
    "exited": (DATE, Title(zh="目标达成日", en="As-of at which the goal was reached")),
    "event": (TEXT, Title(zh="触发事件键", en="Key of the event's row")),
    "event_at": (TIMESTAMP, Title(zh="触发事件时间", en="Local time of the event")),
}


ENTERED_AS_TITLE = Title(zh="进入时的个人标识", en="The person's id on entering")


def state_columns(columns: Mapping[str, DataType], *, linked: bool = False) -> dict[str, DataType]:
    """The table's columns; ``columns``: the tags whose values it keeps. ``linked``: ids may come and go."""
    found = {name: kind for name, (kind, _) in STATE.items()} | ({ENTERED_AS: TEXT} if linked else {})
    return found | {f"{SEEN}{code}": kind for code, kind in columns.items()}


def state_schema(columns: Mapping[str, DataType], *, linked: bool = False) -> ibis.Schema:
    """The same as Ibis types."""
    return ibis.schema({name: to_ibis_type(kind) for name, kind in state_columns(columns, linked=linked).items()})


def entry_key(*, linked: bool) -> tuple[str, str]:
    """What makes an entry that entry, and its messages those messages, whoever the person turns out to be."""
    return (ENTERED_AS if linked else PERSON, "entry")


@dataclass(frozen=True)
class Planning:
    """One evaluation of a trigger.

    ``version`` names the present definition, ``flying`` holds it and every earlier one that somebody entered on, by
    version. ``costs`` are of one message of each step. ``carried``: tags whose values the state keeps, of this
    definition and earlier ones; ``stored``: those that the states of before hold (None: there is none). ``first``:
    nothing was evaluated before. ``linked``: ids may come and go; ``said``: the states of before that say under which
    id a person entered.
    """

    resolved: Resolved
    trigger: ResolvedTrigger
    as_of: date
    version: str
    carried: Mapping[str, DataType]
    stored: Mapping[str, Mapping[str, DataType] | None] = field(default_factory=dict)
    flying: Mapping[str, ResolvedTrigger] = field(default_factory=dict)
    costs: Mapping[str, Decimal] = field(default_factory=dict)
    first: bool = False
    linked: bool = False
    said: frozenset[str] = frozenset()

    @property
    def schema(self) -> ibis.Schema:
        """Of the table that is made."""
        return state_schema(self.carried, linked=self.linked)

    def back(self, days: int) -> ir.DateValue:
        """So many dates before the as-of."""
        return ibis.literal(self.as_of - timedelta(days=days))

    @property
    def runs(self) -> bool:
        """Whether anybody enters at this as-of."""
        spec = self.trigger.spec
        return (spec.start is None or spec.start <= self.as_of) and (spec.end is None or self.as_of <= spec.end)

    def rules(self) -> dict[str, ResolvedRule]:
        """Every rule there is to ask, each under a name no tag can have."""
        found = {f"_{name}": rule for name, rule in self.trigger.rules.items()}
        for version, trigger in self.flying.items():
            if version != self.version:
                found |= {self.rule(version, name): rule for name, rule in trigger.rules.items()}
        return found

    def rule(self, version: str, name: str) -> str:
        """The column that says whether a rule of that version holds."""
        return f"_{name}" if version == self.version else f"_{version}_{name}"
