"""Usefulness: who reads a tag, what it contributes, which say the same, and what the score makes of it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from valtag_assets.engine.contribution import ASSOCIATION, INSUFFICIENT, MEASURED, Contribution, contributions
from valtag_assets.engine.likeness import closest
from valtag_assets.engine.usefulness import Known, Seen, expected_score, reasons, usefulness
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.uses import dependence, tag_uses
from valtag_assets.models.likeness import of_categories, of_numbers
from valtag_assets.spec.insight import Insight
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, TEXT
from valtag_tests.kit import write_catalog

TAGS = """
category: buying
title: {zh: 交易, en: Buying}
tags:
  - code: spend
    title: {zh: 消费, en: Spend}
    type: decimal(18,2)
    value: {fact: orders, agg: sum, of: amount}
    empty: 0
  - {code: order_count, title: {zh: 单数, en: Orders}, type: integer, value: {fact: orders, agg: count}, empty: 0}
  - {code: basket, title: {zh: 客单价, en: Basket}, type: "decimal(18,2)", value: spend / order_count}
  - {code: city, title: {zh: 城市, en: City}, type: text, value: {master: members, of: city}}
  - {code: nobody_reads, title: {zh: 无人用, en: Unused}, type: integer, value: {master: members, of: points}}
"""
SEGMENTS = """
segments:
  - {code: rich, title: {zh: 富, en: Rich}, rule: basket > 100}
  - {code: richer, title: {zh: 更富, en: Richer}, rule: {all: [in_segment(rich), city = '上海']}}
"""
PROJECT = """
name: shop
title: {zh: 商店, en: Shop}
start: 2020-01-01
persons: {sources: [members]}
channels: [{code: sms, title: {zh: 短信, en: SMS}, reachable: city is not null}]
"""
TRIGGER = """
trigger: hello
title: {zh: 你好, en: Hello}
when: order_count > 1
effect: {fact: orders, keep: [nobody_reads]}
actions: [{step: sms, to: gateway, fields: {basket: basket}}]
"""
GATEWAY = """
destination: gateway
title: {zh: 网关, en: Gateway}
kind: file
path: g.jsonl
format: jsonl
mode: append
channel: sms
"""


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    files = {
        "project.yaml": PROJECT,
        "tags/buying.yaml": TAGS,
        "segments/s.yaml": SEGMENTS,
        "triggers/t.yaml": TRIGGER,
        "destinations/g.yaml": GATEWAY,
    }
    folder: Path = tmp_path_factory.mktemp("useful")
    return resolve_catalog(write_catalog(folder, files))


def test_uses_are_followed_through_tags_and_segments(resolved: Resolved) -> None:
    uses = tag_uses(resolved)
    assert uses["spend"].direct == (("tag", "basket"),)
    assert uses["spend"].indirect == (("segment", "rich"), ("segment", "richer"), ("trigger", "hello"))
    assert uses["spend"].automations == (("trigger", "hello"),)
    assert uses["city"].direct == (("segment", "richer"), ("trigger", "hello")), "its channel asks for the city"
    assert uses["nobody_reads"].direct == (), "what is kept to judge by is no use"


def lot(tag: str, holders: tuple[int, int, int, int], others: tuple[int, int, int, int]) -> list[dict[str, Any]]:
    """Levels of a tag: persons and converted of the treated, and of those held out; of holders and of others."""
    found = []
    for level, (persons, converted, held, held_converted) in enumerate((others, holders)):
        for treated, size, hits in ((True, persons, converted), (False, held, held_converted)):
            cell = {"tag": tag, "level": level, "holder": bool(level), "treated": treated}
            found.append({**cell, "persons": size, "converted": hits})
    return found


def told(evidence: str, levels: list[dict[str, Any]]) -> dict[str, Any]:
    return {"lines": [{"evidence": evidence}], "levels": levels}


def test_a_planted_difference_is_measured_and_a_placebo_scores_nothing() -> None:
    insight, draw = Insight(), np.random.default_rng(5)
    covered, strong, placebo = 0, [], []
    for _ in range(200):
        rates = {"real": ((0.2, 0.05), (0.06, 0.05)), "placebo": ((0.1, 0.05), (0.1, 0.05))}
        levels = []
        for tag, both in rates.items():
            cells = [(4000, draw.binomial(4000, t), 1000, draw.binomial(1000, c)) for t, c in both]
            levels += lot(tag, *[(int(a), int(b), int(c), int(d)) for a, b, c, d in cells])  # type: ignore[arg-type]
        found = contributions([told("randomised", levels)], insight)
        real = found["real"]
        assert real.evidence == MEASURED and real.low is not None and real.high is not None
        covered += real.low <= 0.14 <= real.high
        strong.append(real.strength(insight))
        placebo.append(found["placebo"].strength(insight))
    assert covered >= 180
    assert np.mean(strong) > 0.9
    assert np.mean(np.array(placebo, dtype=float)) < 0.01


def test_without_a_lot_there_is_only_an_association_and_it_counts_at_most_half() -> None:
    insight = Insight()
    levels = lot("city", (1000, 400, 0, 0), (1000, 50, 0, 0)) + lot("dice", (1000, 225, 0, 0), (1000, 225, 0, 0))
    found = contributions([told("association", levels)], insight)
    assert (found["city"].evidence, found["city"].low) == (ASSOCIATION, None)
    assert found["city"].strength(insight) == 0.5
    assert found["dice"].strength(insight) == pytest.approx(0.0, abs=0.01)


def test_too_few_persons_say_nothing() -> None:
    insight = Insight()
    few = lot("city", (40, 20, 10, 5), (40, 2, 10, 1))
    assert contributions([told("randomised", few)], insight)["city"] == Contribution()
    assert Contribution().evidence == INSUFFICIENT
    assert Contribution().strength(insight) is None


def test_two_lots_are_pooled_by_persons() -> None:
    insight = Insight()
    one, other = (
        lot("city", (400, 80, 400, 40), (400, 40, 400, 40)),
        lot("city", (100, 10, 100, 10), (100, 10, 100, 10)),
    )
    found = contributions([told("randomised", one), told("randomised", other)], insight)["city"]
    assert found.value == pytest.approx((0.1 * 1600 + 0.0 * 400) / 2000)
    assert found.persons == 2000


def test_the_score_is_the_weighted_mean_of_what_is_known(resolved: Resolved) -> None:
    weights = Insight().weights
    known = Known(
        seen={"spend": Seen(1.0, 0.5, 3), "basket": Seen(0.5, 1.0, 0)},
        sent={("trigger", "hello"): 30, ("delivery", "gone"): 10},
        contributions={"basket": Contribution(MEASURED, 0.1, 0.05, 0.15, 900)},
        twins={"spend": ("basket", 0.97), "basket": ("spend", 0.97), "city": ("order_count", 0.9)},
    )
    rows = {row["tag"]: row for row in usefulness(resolved, known)}
    spend = [(weights.use, (1 + 3 / 2) / 5), (weights.messages, 0.75), (weights.coverage, 1.0)]
    spend += [(weights.quality, 0.5), (weights.freshness, 0.9)]
    wanted = sum(weight * value for weight, value in spend) / sum(weight for weight, _ in spend)
    assert rows["spend"]["score"] == pytest.approx(wanted, abs=1e-4)
    assert rows["spend"]["evidence"] == "insufficient"
    assert (rows["basket"]["contribution"], rows["basket"]["messages"]) == (0.1, 30)
    assert rows["spend"]["score"] < rows["basket"]["score"]
    assert {rows["spend"]["advice"], rows["basket"]["advice"]} == {"keep"}, "the better one is made from the other"
    assert rows["city"]["twin"] is None, "less alike than the project says"
    assert (rows["nobody_reads"]["advice"], rows["nobody_reads"]["direct"]) == ("retire", 0)


def test_what_is_to_be_given_up_says_why_in_numbers(resolved: Resolved) -> None:
    seen = {
        "nobody_reads": Seen(1.0, 1.0, 0, distinct=1),
        "city": Seen(0.004, 1.0, 0, distinct=3),
        "spend": Seen(1.0, 1.0, 0, distinct=900),
        "basket": Seen(1.0, 1.0, 0, distinct=800),
    }
    known = Known(seen, {}, {}, twins={"spend": ("city", 0.97), "city": ("spend", 0.97)})
    rows = {row["tag"]: row for row in usefulness(resolved, known)}
    said = {code: [reason.en for reason in reasons(Insight(), row)] for code, row in rows.items()}
    assert rows["nobody_reads"]["advice"] == "retire", "it is sound and everybody has it, but it says nothing"
    assert said["nobody_reads"] == ["nothing reads it", "one value for everybody"]
    assert rows["city"]["advice"] == "merge"
    assert said["city"] == ["says the same as spend (0.97)", "nearly empty: 0.4% covered"]
    assert all((rows[code]["advice"] == "keep") == (said[code] == []) for code in rows)


def test_how_much_of_what_works_by_itself_depends_on_tags(resolved: Resolved) -> None:
    # richer reads rich, which reads a tag; the trigger reads one itself.
    found = dependence(resolved)
    assert found == {"segment": (2, 2), "trigger": (1, 1), "delivery": (0, 0), "placement": (0, 0), "report": (0, 0)}


def test_the_score_to_expect_before_use_grows_with_what_a_tag_tells() -> None:
    insight = Insight()
    silent, telling = (expected_score(insight, 0.8, information) for information in (0.0, 0.3))
    weights = insight.weights
    whole = weights.coverage + weights.contribution
    assert silent == pytest.approx(0.8 * weights.coverage / whole, abs=1e-4)
    assert telling == pytest.approx((0.8 * weights.coverage + 0.5 * weights.contribution) / whole, abs=1e-4)
    assert expected_score(insight, 0.8, None) == 0.8 and expected_score(insight, None, None) == 0


def test_tags_that_say_the_same_are_found_whatever_their_scale() -> None:
    draw = np.random.default_rng(1)
    spend = draw.gamma(1.0, 100.0, 500)
    cities = draw.integers(0, 4, 500)
    columns = {
        "spend": (spend.tolist(), FLOAT),
        "rank": ((spend**2).round().astype(int).tolist(), INTEGER),
        "noise": (draw.random(500).tolist(), FLOAT),
        "half": ([value if n % 2 else None for n, value in enumerate(spend.tolist())], FLOAT),
        "flag": ((draw.random(500) < 0.5).tolist(), BOOLEAN),
        "since": (np.datetime64("2024-01-01") + draw.integers(0, 300, 500).astype("timedelta64[D]"), DATE),
        "city": ([f"c{code}" for code in cities], TEXT),
        "region": ([f"r{code}" for code in cities], TEXT),
        "colour": ([f"k{code}" for code in draw.integers(0, 4, 500)], TEXT),
        "name": ([str(n) for n in range(500)], TEXT),
    }
    sample = pa.table({code: pa.array(values) for code, (values, _) in columns.items()})
    found = closest(sample, {code: kind for code, (_, kind) in columns.items()})
    assert found["spend"] == ("rank", pytest.approx(1.0, abs=1e-3))
    assert found["city"] == ("region", 1.0)
    assert all(found.get(code, ("", 0.0))[1] < 0.3 for code in ("noise", "flag", "since", "colour"))
    assert "half" not in found, "half of the persons have none: it does not say the same"
    assert "name" not in found


def test_likeness_is_spearmans_and_cramers() -> None:
    draw = np.random.default_rng(2)
    numbers = np.column_stack([draw.integers(0, 9, 300), draw.integers(0, 9, 300)]).astype(float)
    numbers[:, 1] += numbers[:, 0]
    wanted = abs(stats.spearmanr(numbers[:, 0], numbers[:, 1]).statistic)
    assert of_numbers(numbers)[0, 1] == pytest.approx(wanted)
    codes = np.column_stack([draw.integers(0, 3, 300), draw.integers(0, 4, 300)])
    codes[:150, 1] = codes[:150, 0]
    table = stats.contingency.crosstab(codes[:, 0], codes[:, 1]).count
    square = max(0.0, stats.chi2_contingency(table, correction=False).statistic / 300 - 6 / 299)
    least = min(3 - 4 / 299, 4 - 9 / 299) - 1
    assert of_categories(codes)[0, 1] == pytest.approx(math.sqrt(square / least))
