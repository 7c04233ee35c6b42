"""Mistakes in triggers and channels: found by `valtag check`, with the place and what to write instead."""

from pathlib import Path
from typing import Any

import pytest

from valtag_assets.spec.trigger import Trigger
from valtag_tests.kit import PROJECT, category, make_catalog, problems, tag

CHANNELS = """
channels:
  - {code: sms, title: {zh: 短信, en: SMS}, reachable: is_vip, consent: is_vip, suppressed: [stop]}
"""
STOP = """
source: stop
title: {zh: 勿扰, en: Stop}
kind: list
person: member
read: {path: stop.csv}
fields: [{name: member, type: text}]
"""
GATEWAY: dict[str, Any] = {
    "destination": "gateway",
    "title": {"zh": "网关", "en": "Gateway"},
    "kind": "http",
    "url": "https://sms.example.com/",
    "body": {"to": "{person_id}", "text": "{template}"},
    "channel": "sms",
}
FILES: dict[str, Any] = {
    "project.yaml": PROJECT + CHANNELS,
    "sources/stop.yaml": STOP,
    "destinations/gateway.yaml": GATEWAY,
    "tags/p.yaml": category(
        "p",
        tag("is_vip", "boolean", {"master": "members", "of": "is_vip"}),
        tag("points", "integer", {"master": "members", "of": "points"}),
        tag("birth_date", "date", {"master": "members", "of": "born"}, access="pii"),
        tag("city", "text", {"master": "members", "of": "city"}, access="sensitive"),
    ),
}


def care(**more: Any) -> dict[str, Any]:
    action = {"step": "sms", "to": "gateway", "texts": {"template": "A"}, **more.pop("action", {})}
    return {
        "trigger": "care",
        "title": {"zh": "关怀", "en": "Care"},
        "when": "points > 10",
        "actions": [action],
        **more,
    }


def test_a_sound_trigger_is_resolved(tmp_path: Path) -> None:
    resolved = make_catalog(tmp_path, {**FILES, "triggers/care.yaml": care(action={"fields": {"vip": "is_vip"}})})
    trigger = resolved.triggers["care"]
    assert set(trigger.rules) == {"when", "reachable_sms", "consent_sms", "suppressed_sms"}
    assert (set(trigger.columns), trigger.channels) == ({"points", "is_vip"}, {"sms": "sms"})


def test_other_words_are_the_same_trigger_and_another_rule_is_not(tmp_path: Path) -> None:
    def meaning(name: str, **more: Any) -> str:
        return make_catalog(tmp_path / name, {**FILES, "triggers/care.yaml": care(**more)}).triggers["care"].meaning

    plain = meaning("a")
    assert plain == meaning("b", title={"zh": "别名", "en": "Renamed"}, meaning="said otherwise", when="(points>10)")
    others = [{"when": "points > 11"}, {"ttl": "1d"}, {"action": {"texts": {"template": "B"}}}, {"dwell": "2d"}]
    assert len({plain, *(meaning(f"c{n}", **more) for n, more in enumerate(others))}) == 1 + len(others)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"when": "point > 10"}, "unknown tag or score 'point'"),
        ({"when": "points > 10 and points < 5"}, "never"),
        ({"when": None}, "when: is missing"),
        ({"exclude": "in_list(stopp)"}, "'stopp' is no list; did you mean 'stop'?"),
        ({"action": {"to": "gatway"}}, "'gatway' is no destination; did you mean 'gateway'?"),
        ({"action": {"channel": "smss"}}, "'smss' is no channel of project.yaml; did you mean 'sms'?"),
        ({"action": {"texts": {}}}, "names {template}, and no such field travels"),
        ({"action": {"fields": {"day": "birth_date"}}}, "'birth_date' is personal"),
        ({"action": {"fields": {"place": "city"}}}, "'city' is sensitive, and gateway has the role analyst"),
        ({"action": {"fields": {"template": "points"}}}, "among both fields and texts"),
        ({"action": {"wait": "2d"}}, "the first without one"),
        ({"on": {"each": "7"}}, "write so many days as 7d"),
        ({"on": {"event": {"fact": "order"}}}, "'order' is no fact; did you mean 'orders'?"),
        ({"on": {"event": {"fact": "orders", "where": "amout > 1"}}}, "unknown field of orders 'amout'"),
        ({"on": {"event": "orders"}, "dwell": "2d"}, "an event does not last"),
        ({"on": "becoming"}, "becoming_true"),
        ({"again": {"latch": True}}, "latch says what comes after a cooldown"),
        ({"unless": "is_vip"}, "no step has a wait"),
        ({"budget": {}}, "a budget is of messages"),
        ({"test": {"list": "staff"}}, "'staff' is no list"),
        ({"start": "2024-03-02", "end": "2024-03-01"}, "lies after end"),
        ({"ttl": "2w"}, "12h or 2d"),
        ({"dwel": "2d"}, "dwel"),
    ],
)
def test_a_mistake_is_told_with_its_place(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    written = {name: value for name, value in care(**more).items() if value is not None}
    found = problems(tmp_path, {**FILES, "triggers/care.yaml": written})
    assert any(said in line and line.startswith("triggers/care.yaml:") for line in found), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHANNELS + "contact: {caps: [{at_most: 1, within: 1d, channel: sm}]}", "'sm' is no channel"),
        (CHANNELS + "contact: {caps: [{at_most: 1, within: day}]}", "write so many days as 7d"),
        (CHANNELS + "contact: {zone: points}", "a zone is text"),
        (CHANNELS + "contact: {zone: zone}", "'zone' is no tag"),
        (CHANNELS.replace("[stop]", "[stopp]"), "'stopp' is no list"),
        (CHANNELS.replace("consent: is_vip", "consent: 'did(orders)'"), "is agreed to by tags and scores alone"),
        (CHANNELS.replace("[stop]}", '[stop], quiet: {from: "21:00", to: "21:00"}}'), "no time at all"),
    ],
)
def test_a_mistake_of_the_project_is_told(text: str, said: str, tmp_path: Path) -> None:
    found = problems(tmp_path, {**FILES, "project.yaml": PROJECT + text})
    assert any(said in line for line in found), found


def test_a_test_mode_is_said_by_a_switch_or_a_list() -> None:
    assert Trigger.model_validate(care(test=True)).test is not None
    assert Trigger.model_validate(care(test=False)).test is None
    assert Trigger.model_validate(care(on={"each": "7d"})).on.each == 7
