"""What an allocation must satisfy: each tier once, shares that sum to 1, amounts that sum to the budget."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from valtag_assets.expression.resolved import Resolved, ResolvedAllocation
from valtag_assets.quality.column import Column, one_of, present, rule_at
from valtag_assets.quality.expectation import UNIQUE, Expectation
from valtag_assets.quality.report import Agreement, agreement_verdicts
from valtag_assets.quality.table import schema
from valtag_assets.spec.allocation import COLUMN_TITLES
from valtag_assets.spec.block import Title
from valtag_assets.spec.types import TEXT, DataType
from valtag_assets.warehouse.snapshot import Verdict

TIER = "tier"
_SHARES = Agreement("shares", Title(zh="预算占比合计为 1", en="the shares sum to 1"), ("tiers",))
_AMOUNTS = Agreement("amounts", Title(zh="金额合计为预算", en="the amounts sum to the budget"), ("budget",))


def allocation_expectations(
    resolved: Resolved, allocation: ResolvedAllocation, columns: Mapping[str, DataType]
) -> list[Expectation]:
    """Every tier of the catalog once, and no other. ``columns``: those of the allocation's table."""
    entry, root = allocation.entry, resolved.catalog.root
    column = Column(TIER, TEXT, COLUMN_TITLES[TIER], TIER, "table", "values", entry, (), root, {})
    once = column.expectation("unique", UNIQUE, {}, Title(zh="每个分层一次", en="each tier once"))
    known = one_of(column, [item.tier for item in allocation.spec.tiers], "tiers")
    return [present(column), once, known, *schema(entry, resolved, columns)]


def allocation_verdicts(
    resolved: Resolved, allocation: ResolvedAllocation, found: Mapping[str, Any] | None
) -> list[Verdict]:
    """Whether the rows sum up, and a warning for a share that nobody gets.

    ``found``: ``budget_share`` and ``budget_amount`` summed, as texts, and the tiers with ``nobody``; None: not yet.
    """
    budget = allocation.spec.budget
    wanted = {_SHARES: ("budget_share", Decimal(1))}
    if budget is not None:
        wanted[_AMOUNTS] = ("budget_amount", budget.amount)
    said = found and {item.what: (Decimal(found[name]), whole) for item, (name, whole) in wanted.items()}
    sums = agreement_verdicts(resolved, allocation.entry, [*wanted], said)
    idle = found["nobody"] if found is not None else []
    detail: dict[str, Any] = {
        "title": {"zh": "有预算的分层都有人", "en": "every tier with a share has persons"},
        "rule": rule_at(allocation.entry, resolved.catalog.root, "tiers"),
        "observed": ", ".join(idle) or "none",
        "expected": "none",
        "sample": [],
    }
    tiers = len(allocation.spec.tiers)
    return [*sums, Verdict("nobody", None, "warn", not idle, "nothing", len(idle), tiers, detail)]
