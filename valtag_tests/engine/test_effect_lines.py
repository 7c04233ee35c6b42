"""The table of effects from what was counted: what is printed, and what is not."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.engine.effect_lines import effect_lines
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_tests.engine.test_usefulness import GATEWAY, PROJECT, SEGMENTS, TAGS, TRIGGER
from valtag_tests.kit import write_catalog

COSTS = {"gateway": Decimal("0.05")}
FLAGS = ("delivered", "opened", "clicked", "converted", "unsubscribed", "bounced")
JUDGED = ("lift", "revenue_lift", "more_conversions", "more_revenue", "roi", "detectable")


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> ResolvedTrigger:
    text = TRIGGER.replace("keep: [nobody_reads]", "value: amount")
    files = {
        "project.yaml": PROJECT,
        "tags/buying.yaml": TAGS,
        "segments/s.yaml": SEGMENTS,
        "triggers/t.yaml": text,
        "destinations/g.yaml": GATEWAY,
    }
    folder: Path = tmp_path_factory.mktemp("lines")
    return resolve_catalog(write_catalog(folder, files)).triggers["hello"]


def arm(treated: bool, n: int, converted: int, mean: float, *, over: int = 0) -> dict[str, Any]:
    """Persons of whom every other spent ``mean`` + 1, and every other ``mean`` − 1."""
    sums = {"y": n * mean, "yy": n * (mean * mean + 1), "x": 0, "xx": 0, "xy": 0}
    counted = {"entered": n + over, "not_over": over, "n": n, "converted": converted}
    return {"period": "all", "treated": treated, **counted, **{k: Decimal(str(v)) for k, v in sums.items()}}


def sent(number: int) -> dict[str, Any]:
    told = {"period": "all", "step": "sms", "destination": "gateway", "planned": number, "sent": number}
    return {**told, "counted": number, **dict.fromkeys(FLAGS, 0)}


def test_the_return_is_what_came_in_more_over_what_was_paid(trigger: ResolvedTrigger) -> None:
    arms = [arm(True, 1000, 100, 12.0, over=7), arm(False, 200, 10, 10.0)]
    whole, step = effect_lines(trigger, arms, [sent(1000)], COSTS, held_out=True)
    assert (whole["evidence"], whole["lift"], whole["more_conversions"]) == ("randomised", 0.05, 50.0)
    assert (whole["revenue_lift"], whole["more_revenue"], whole["cost"]) == (2.0, 2000.0, Decimal(50))
    assert whole["roi"] == (2000 - 50) / 50
    assert (whole["entered"], whole["not_over"]) == (1207, 7)
    assert whole["roi_low"] < whole["roi"] < whole["roi_high"]
    assert (step["step"], step["channel"], step["sent"], step["lift"]) == ("sms", "sms", 1000, None)


def test_no_lift_is_given_where_nobody_is_held_out(trigger: ResolvedTrigger) -> None:
    (whole, _) = effect_lines(trigger, [arm(True, 1000, 100, 12.0)], [sent(1000)], COSTS, held_out=False)
    assert (whole["evidence"], whole["treated_conversions"]) == ("association", 100)
    assert [whole[name] for name in JUDGED] == [None] * len(JUDGED)


def test_an_arm_of_one_person_is_not_enough(trigger: ResolvedTrigger) -> None:
    (whole, _) = effect_lines(
        trigger, [arm(True, 50, 5, 12.0), arm(False, 1, 0, 0.0)], [sent(50)], COSTS, held_out=True
    )
    assert (whole["evidence"], whole["lift"]) == ("insufficient", None)


def test_before_anybody_entered_there_is_one_empty_line_and_one_per_step(trigger: ResolvedTrigger) -> None:
    lines = effect_lines(trigger, [], [], COSTS, held_out=True)
    assert [(line["period"], line["step"], line["sent"]) for line in lines] == [("all", "all", 0), ("all", "sms", 0)]
    assert lines[0]["evidence"] == "insufficient"


def test_what_is_free_has_no_return(trigger: ResolvedTrigger) -> None:
    arms = [arm(True, 1000, 100, 12.0), arm(False, 200, 10, 10.0)]
    (whole, _) = effect_lines(trigger, arms, [sent(1000)], {}, held_out=True)
    assert (whole["more_revenue"], whole["roi"]) == (2000.0, None)
