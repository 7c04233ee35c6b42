"""What each tier is given, from small tables."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from valtag_assets.engine.allocation import (
    allocation_columns,
    allocation_rows,
    read_sizes,
    sizes_expression,
    split,
    summed_up,
    write_allocation,
)
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import TEXT
from valtag_tests import kit
from valtag_tests.expression.test_resolve_allocation import files, gives


@given(
    cents=st.integers(1, 10**12),
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(lambda found: sum(found) > 0),
)
def test_a_budget_is_split_to_the_last_cent(cents: int, weights: list[int]) -> None:
    shares = [Decimal(weight * 10**6 // sum(weights)) / 10**6 for weight in weights]
    shares[0] += 1 - sum(shares)
    amount = Decimal(cents) / 100
    parts = split(amount, shares)
    assert sum(parts) == amount
    assert all(abs(part - amount * share) < Decimal("0.01") for part, share in zip(parts, shares, strict=True))
    assert all(part == 0 for part, share in zip(parts, shares, strict=True) if share == 0)


def table(folder: Path, resolved: Resolved, inputs: dict[str, list[Path]]) -> list[dict[str, Any]]:
    allocation = resolved.allocations["money"]
    with kit.connected() as connection:
        found = DuckDBEngine(connection).fetch(sizes_expression(resolved, allocation), inputs).to_pylist()
    rows = allocation_rows(resolved, allocation, read_sizes(found, allocation.spec.tiers))
    write_allocation(allocation, rows, folder / "out.parquet")
    read = pq.read_table(folder / "out.parquet")
    wanted = {name: kit.arrow_type(kind) for name, kind in allocation_columns(allocation).items()}
    assert dict(zip(read.schema.names, read.schema.types, strict=True)) == wanted
    assert read.to_pylist() == rows
    return rows


def test_tiers_of_a_score_have_persons_revenue_and_money(tmp_path: Path) -> None:
    action = {"zh": "回访", "en": "Call"}
    given = files(
        "rfm_tier",
        gives("rest", 0.5, channel="sms"),
        gives("best", 0.5, action=action),
        budget={"amount": 100.01},
    )
    resolved = kit.make_catalog(tmp_path, given)
    spend = {"a": Decimal(30), "b": Decimal("10.5"), "c": Decimal("-0.5"), "d": Decimal(999)}
    tiers = {"a": "best", "b": "rest", "c": "rest"}
    scores = {"person_id": TEXT, **resolved.scores["rfm"].columns}
    tiered = [{"person_id": person, "rfm_tier": tier} for person, tier in tiers.items()]
    people = [{"person_id": person, "spend": amount} for person, amount in spend.items()]
    inputs = {
        "scores/rfm": [kit.write_rows(tmp_path / "s.parquet", scores, tiered)],
        "tags/t": [kit.write_rows(tmp_path / "t.parquet", kit.tag_columns(resolved, "t"), people)],
    }
    rest, best = table(tmp_path, resolved, inputs)
    assert (rest["tier"], rest["title_zh"], rest["persons"], rest["revenue"]) == ("rest", "其余", 2, Decimal(10))
    assert (best["tier"], best["title_en"], best["persons"], best["revenue"]) == ("best", "Best", 1, Decimal(30))
    assert (rest["revenue_share"], best["revenue_share"]) == (0.25, 0.75)
    assert (rest["persons_share"], best["persons_share"]) == (2 / 3, 1 / 3)
    # 50.005 each: the cent that is left goes to the first.
    assert (rest["budget_amount"], best["budget_amount"]) == (Decimal("50.01"), Decimal("50.00"))
    assert (rest["budget_per_person"], rest["currency"]) == (Decimal("25.01"), "CNY")
    assert (rest["channel"], best["channel"], best["action_zh"], rest["action_en"]) == ("sms", None, "回访", None)


def test_tiers_of_a_band_have_persons_and_shares_alone(tmp_path: Path) -> None:
    resolved = kit.make_catalog(
        tmp_path, files("spend_band", gives("high", 0.75), gives("low", 0.25), gives("none", 0))
    )
    bands = ["high", "none", "none", None]
    people = [{"person_id": f"p{n}", "spend_band": band} for n, band in enumerate(bands)]
    own = kit.tag_columns(resolved, "t")
    rows = table(tmp_path, resolved, {"tags/t": [kit.write_rows(tmp_path / "t.parquet", own, people)]})
    assert [(row["tier"], row["persons"], row["budget_share"]) for row in rows] == [
        ("high", 1, Decimal("0.75")),
        ("low", 0, Decimal("0.25")),
        ("none", 2, Decimal(0)),
    ]
    assert rows[2]["title_en"] == "none", "a value without a title is called as it is"
    assert not {"revenue", "budget_amount", "channel", "action_zh"} & rows[0].keys()
    assert summed_up(rows) == {"budget_share": "1.00", "nobody": ["low"]}
