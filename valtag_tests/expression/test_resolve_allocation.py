"""Allocations are checked with the rest of the catalog: every tier once, shares that sum to 1, in exact decimals."""

from pathlib import Path
from typing import Any

import pytest

from valtag_tests import kit

PROJECT = kit.PROJECT + "channels:\n  - {code: sms, title: {zh: 短信, en: SMS}, reachable: order_count > 0}\n"
TAGS = kit.category(
    "t",
    kit.tag("days_since_last_order", "integer", {"fact": "orders", "agg": "days_since_last"}),
    kit.tag("order_count", "integer", {"fact": "orders", "agg": "count"}),
    kit.tag("spend", "decimal(18,2)", {"fact": "orders", "agg": "sum", "of": "amount"}),
    kit.tag("brand", "text", {"fact": "orders", "agg": "last", "of": "brand"}),
    {
        "code": "spend_band",
        "title": {"zh": "消费档", "en": "Spend band"},
        "type": "text",
        "empty": "none",
        "band": {
            "of": "spend",
            "steps": [
                {"code": "low", "title": {"zh": "低", "en": "Low"}},
                {"code": "high", "from": 100, "title": {"zh": "高", "en": "High"}},
            ],
        },
    },
)
RFM = {
    "score": "rfm",
    "title": {"zh": "RFM", "en": "RFM"},
    "recency": "days_since_last_order",
    "frequency": "order_count",
    "monetary": "spend",
    "tiers": [
        {"code": "best", "title": {"zh": "好", "en": "Best"}, "r": [4, 5]},
        {"code": "rest", "title": {"zh": "其余", "en": "Rest"}},
    ],
}
OFFER = {"zh": "券", "en": "Coupon"}
FILES = {"project.yaml": PROJECT, "tags/t.yaml": TAGS, "scores/rfm.yaml": RFM}


def gives(tier: str, share: Any, **more: Any) -> dict[str, Any]:
    return {"tier": tier, "share": share, "offer": OFFER, **more}


def files(of: str, *tiers: dict[str, Any], **more: Any) -> dict[str, Any]:
    title = {"zh": "分配", "en": "Allocation"}
    spec = {"allocation": "money", "title": title, "of": of, "tiers": list(tiers), **more}
    return {**FILES, "allocations/money.yaml": spec}


def faults(folder: Path, of: str, *tiers: dict[str, Any], **more: Any) -> list[str]:
    return kit.problems(folder, files(of, *tiers, **more))


@pytest.mark.parametrize(
    ("of", "tiers", "monetary"),
    [
        ("rfm_tier", ["best", "rest"], "spend"),
        ("rfm_quadrant", ["111", "101", "011", "001", "110", "100", "010", "000"], "spend"),
        ("spend_band", ["none", "low", "high"], None),
    ],
)
def test_any_column_with_known_values_may_be_the_tiers(
    tmp_path: Path, of: str, tiers: list[str], monetary: str | None
) -> None:
    shares = [1, *[0] * (len(tiers) - 1)]
    given = files(of, *[gives(tier, share) for tier, share in zip(tiers, shares, strict=True)])
    assert kit.make_catalog(tmp_path, given).allocations["money"].monetary == monetary


def test_shares_are_added_as_decimals(tmp_path: Path) -> None:
    # 0.1 + 0.7 + 0.2 is not 1 in floats.
    assert faults(tmp_path, "spend_band", gives("none", 0.1), gives("low", 0.7), gives("high", 0.2)) == []


BEST, REST = gives("best", 0.25), gives("rest", 0.75)


@pytest.mark.parametrize(
    ("of", "tiers", "says"),
    [
        (
            "rfm_tier",
            [BEST, gives("rest", 0.5)],
            "tiers: the shares sum to 0.75, and must sum to 1: 0.25 is left over",
        ),
        ("rfm_tier", [BEST, gives("rest", 1)], "tiers: the shares sum to 1.25, and must sum to 1: 0.25 is too much"),
        ("rfm_tier", [gives("best", 1)], "tiers: rest of rfm_tier is missing: give share 0 to what gets nothing"),
        ("rfm_tier", [BEST, REST, gives("best", 0)], "tiers[3].tier: 'best' is named twice"),
        ("rfm_tier", [BEST, REST, gives("bets", 0)], "'bets' is no value of rfm_tier; did you mean 'best'?"),
        (
            "rfm_teir",
            [BEST, REST],
            "of: 'rfm_teir' is no column of a score and no tag with known values; did you mean",
        ),
        ("brand", [BEST, REST], "of: 'brand' has no list of values, so there is no saying who is left out"),
        ("rfm_r", [BEST, REST], "of: 'rfm_r' is no column of a score and no tag with known values"),
        (
            "rfm_tier",
            [BEST, gives("rest", 0.75, channel="smss")],
            "'smss' is no channel of project.yaml; did you mean",
        ),
        ("rfm_quadrant", [{**BEST, "tier": 11}, REST], 'write it in quotes, as in "011"'),
        ("rfm_tier", [BEST, gives("rest", -0.75)], "tiers[2].share"),
        ("rfm_tier", [gives("best", 0.3333333), REST], "tiers[1].share"),
        ("rfm_tier", [BEST, gives("rest", 0.75, offer={"zh": "券"})], "tiers[2].offer: 'en' is missing"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, of: str, tiers: list[dict[str, Any]], says: str) -> None:
    found = faults(tmp_path, of, *tiers)
    assert len(found) == 1 and says in found[0] and found[0].startswith("allocations/money.yaml:"), found


@pytest.mark.parametrize("budget", [{"amount": 0}, {"amount": 10.001}, {"amount": 10, "currency": "元"}])
def test_a_budget_is_money(tmp_path: Path, budget: dict[str, Any]) -> None:
    (found,) = faults(tmp_path, "rfm_tier", BEST, REST, budget=budget)
    assert "budget" in found


def test_an_allocation_is_no_column_of_persons(tmp_path: Path) -> None:
    segment = {"segments": [{"code": "s", "title": {"zh": "群", "en": "Segment"}, "rule": "money = 'best'"}]}
    (found,) = kit.problems(tmp_path, {**files("rfm_tier", BEST, REST), "segments/s.yaml": segment})
    assert "'money'" in found
