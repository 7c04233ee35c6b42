"""What each tier is given: its persons counted, a budget split among the tiers to the last cent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.rfm import score_table
from valtag_assets.engine.rules import column_inputs, with_columns
from valtag_assets.engine.sums import summed, total
from valtag_assets.engine.tags import category_table
from valtag_assets.expression.convert import convert
from valtag_assets.expression.resolved import Resolved, ResolvedAllocation
from valtag_assets.expression.value_titles import value_titles
from valtag_assets.spec.allocation import TierShare
from valtag_assets.spec.block import Title
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT, DataType, decimal

TIER = "tier"
MONEY = decimal(18, 2)
SHARE = decimal(9, 6)
_ARROW = {
    TEXT: pa.string(),
    INTEGER: pa.int64(),
    FLOAT: pa.float64(),
    MONEY: pa.decimal128(18, 2),
    SHARE: pa.decimal128(9, 6),
}
_CENT = Decimal("0.01")


def allocations_name(code: str) -> str:
    """The table key of an allocation."""
    return f"allocations/{code}"


def allocation_columns(allocation: ResolvedAllocation) -> dict[str, DataType]:
    """The columns of its table: money and channels only where the catalog has any."""
    spec = allocation.spec
    found = {TIER: TEXT, "title_zh": TEXT, "title_en": TEXT, "persons": INTEGER, "persons_share": FLOAT}
    if allocation.monetary is not None:
        found |= {"revenue": MONEY, "revenue_share": FLOAT}
    found["budget_share"] = SHARE
    if spec.budget is not None:
        found |= {"budget_amount": MONEY, "budget_per_person": MONEY, "currency": TEXT}
    found |= {"offer_zh": TEXT, "offer_en": TEXT}
    if any(item.channel for item in spec.tiers):
        found["channel"] = TEXT
    if any(item.action for item in spec.tiers):
        found |= {"action_zh": TEXT, "action_en": TEXT}
    return found


def allocation_inputs(resolved: Resolved, allocation: ResolvedAllocation) -> dict[str, frozenset[str]]:
    """The tables it reads, and the columns of each."""
    read = [allocation.spec.of] + ([allocation.monetary] if allocation.monetary is not None else [])
    return column_inputs(resolved, read)


def sizes_expression(resolved: Resolved, allocation: ResolvedAllocation) -> ibis.Table:
    """(tier, persons, revenue) per value of the column there is; null is the tier of persons without one."""
    column, monetary = allocation.spec.of, allocation.monetary
    score = resolved.score_of(column)
    if score is None:
        whole = category_table(resolved, resolved.category_of(column))
    else:
        whole = score_table(resolved.scores[score])
    table = whole.select(PERSON, **{TIER: column})
    if monetary is None:
        return table.group_by(TIER).aggregate(persons=lambda t: t.count()).order_by(TIER)
    kind = resolved.tags[monetary].type
    sizes = with_columns(resolved, table, [monetary]).group_by(TIER)
    spent = sizes.aggregate(
        persons=lambda t: t.count(),
        revenue=lambda t: convert(total(t[monetary], kind), summed(kind), decimal(38, 2)),
    )
    return spent.order_by(TIER)


@dataclass(frozen=True)
class Sizes:
    """Persons and revenue by tier, as ``sizes_expression`` found them; ``untiered`` persons have no tier."""

    persons: Mapping[str, int]
    revenue: Mapping[str, Decimal]
    untiered: int


def read_sizes(rows: Sequence[Mapping[str, Any]], tiers: Sequence[TierShare]) -> Sizes:
    """From the rows of ``sizes_expression``."""
    named = {item.tier for item in tiers}
    own = {row[TIER]: row for row in rows if row[TIER] in named}
    revenue = {tier: row.get("revenue") or Decimal(0) for tier, row in own.items()}
    untiered = sum(row["persons"] for row in rows if row[TIER] not in named)
    return Sizes({tier: row["persons"] for tier, row in own.items()}, revenue, untiered)


def split(amount: Decimal, shares: Sequence[Decimal]) -> list[Decimal]:
    """``amount`` by ``shares``, which sum to 1, in whole cents that sum to it exactly.

    Cents left over by rounding down go to the largest remainders, the first of equal ones (Hamilton's method).
    """
    exact = [amount * share for share in shares]
    found = [part.quantize(_CENT, ROUND_FLOOR) for part in exact]
    left = int((amount - sum(found, Decimal(0))) / _CENT)
    largest = sorted(range(len(shares)), key=lambda place: (found[place] - exact[place], place))
    for place in largest[:left]:
        found[place] += _CENT
    return found


def allocation_rows(resolved: Resolved, allocation: ResolvedAllocation, sizes: Sizes) -> list[dict[str, Any]]:
    """One row per tier, in the order of the catalog, with the columns of ``allocation_columns``."""
    spec, titles = allocation.spec, value_titles(resolved, allocation.spec.of)
    persons, revenue = sum(sizes.persons.values()), sum(sizes.revenue.values(), Decimal(0))
    amounts = split(spec.budget.amount, [item.share for item in spec.tiers]) if spec.budget is not None else None
    currency = spec.budget and (spec.budget.currency or resolved.catalog.project.currency)
    rows = []
    for number, item in enumerate(spec.tiers):
        size, spent = sizes.persons.get(item.tier, 0), sizes.revenue.get(item.tier, Decimal(0))
        title = titles.get(item.tier) or Title(zh=item.tier, en=item.tier)
        amount = amounts[number] if amounts is not None else None
        each = (amount / size).quantize(_CENT, ROUND_HALF_UP) if amount is not None and size else None
        cells = {
            TIER: item.tier,
            "title_zh": title.zh,
            "title_en": title.en,
            "persons": size,
            "persons_share": size / persons if persons else None,
            "revenue": spent,
            "revenue_share": float(spent / revenue) if revenue > 0 else None,
            "budget_share": item.share,
            "budget_amount": amount,
            "budget_per_person": each,
            "currency": currency,
            "offer_zh": item.offer.zh,
            "offer_en": item.offer.en,
            "channel": item.channel,
            "action_zh": item.action and item.action.zh,
            "action_en": item.action and item.action.en,
        }
        rows.append({name: cells[name] for name in allocation_columns(allocation)})
    return rows


def summed_up(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the rows are checked by: the sums of shares and amounts, as exact texts, and tiers with a share of the
    budget but nobody in them."""
    sums = {
        name: str(sum((row[name] for row in rows), Decimal(0)))
        for name in ("budget_share", "budget_amount")
        if all(name in row for row in rows)
    }
    return {**sums, "nobody": [row[TIER] for row in rows if row["budget_share"] and not row["persons"]]}


def write_allocation(allocation: ResolvedAllocation, rows: Sequence[Mapping[str, Any]], into: Path) -> None:
    """The rows as one Parquet file."""
    columns = allocation_columns(allocation)
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), into)
