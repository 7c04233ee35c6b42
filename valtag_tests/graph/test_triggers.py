"""Triggers in the graph: from tables to a receiver and back, once, with reasons."""

import json
import shutil
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from valtag_assets.cli import main
from valtag_assets.console.message import Looking, explain_message
from valtag_assets.console.triggers import forecast, summaries
from valtag_assets.definitions import build_definitions
from valtag_assets.delivery.outbox import ledger_file
from valtag_assets.delivery.receipts import Receipts
from valtag_assets.delivery.triggered import TOO_LATE
from valtag_assets.graph.jobs import MESSAGES, TRIGGERS
from valtag_assets.graph.trigger_sensors import trigger_sensors
from valtag_assets.spec.access import UNSAID
from valtag_tests.graph.caring import MORNING, land, messages, received, with_files
from valtag_tests.graph.shop import AS_OF, Shop, orders

SENDING = "triggers/* outbox/messages"
"""What decides and sends, of a shop whose tables are as they were."""


def expected(shop: Shop) -> set[str]:
    """Who spent more than 100 and lives in Chengdu, from the raw tables."""
    rows = pd.read_csv(shop.root / "catalog" / "data" / "orders.csv", dtype={"customer_id": str})
    spend = rows.groupby("customer_id")["amount"].sum()
    return {who for who, total in spend.items() if total > 100 and int(str(who)[1:]) % 3 == 2}


def test_both_actions_reach_the_receivers_once_and_the_control_arm_neither(cared: Shop) -> None:
    rows = cared.rows("triggers/care")
    assert set(rows["person_id"]) == expected(cared)
    treated = set(rows[rows["arm"] == "treated"]["person_id"])
    assert 0 < len(treated) < len(rows)
    sms, desk = received(cared, "gateway"), received(cared, "desk")
    texted = {row["person_id"] for row in sms if row["origin"] == "care"}
    assert texted == {row["person_id"] for row in desk} == treated
    spend = rows.set_index("person_id")["seen_total_spend"]
    care = [row for row in sms if row["origin"] == "care"]
    assert all(row["template"] == 'A"1' and row["spend"] == str(spend[row["person_id"]]) for row in care)
    control = messages(cared, origin="care", state="held_back")
    assert {row["person_id"] for row in control} == set(rows["person_id"]) - treated
    assert {(row["arm"], row["reason"]) for row in control} == {("control", "control")}
    before = messages(cared)
    cared.full = True
    cared.run(job=TRIGGERS, select=SENDING)
    assert (received(cared, "gateway"), messages(cared)) == (sms, before), "nothing is sent twice"


def test_a_cap_over_triggers_lets_the_more_urgent_through(cared: Shop) -> None:
    both = {row["person_id"] for row in messages(cared, origin="thanks", reason="capped")}
    assert both and both <= {row["person_id"] for row in messages(cared, origin="care", state="sent")}
    assert {row["state"] for row in messages(cared, origin="thanks", reason="capped")} == {"pending"}


def test_at_night_messages_wait_and_in_the_morning_those_go_whose_rule_still_holds(caring: Shop) -> None:
    caring.clock = lambda: MORNING - timedelta(hours=5)
    caring.run(job=TRIGGERS, select=SENDING)
    waiting = messages(caring, origin="care", destination="gateway", state="pending")
    assert {(row["reason"], row["not_before"]) for row in waiting} == {("quiet hours", MORNING - timedelta(hours=1))}
    assert messages(caring, destination="desk", state="sent"), "another channel has other hours"
    ticks = due(caring)
    assert ticks(MORNING - timedelta(hours=1, seconds=1)) == 0
    assert ticks(MORNING) == 1
    persons = {row["person_id"] for row in waiting}
    gone, rows = min(persons), orders()
    caring.write(order_rows=rows[rows["customer_id"] != gone])
    caring.run(job=TRIGGERS)
    sent = {row["person_id"] for row in messages(caring, origin="care", destination="gateway", state="sent")}
    assert sent == persons - {gone}
    (dropped,) = messages(caring, origin="care", destination="gateway", person_id=gone)
    assert (dropped["state"], dropped["reason"]) == ("held_back", "no_longer")


def due(shop: Shop) -> Any:
    """How many runs the sensor of due messages asks for at an instant."""

    def at(now: datetime) -> int:
        shop.clock = lambda: now
        (_, sensor) = trigger_sensors(shop.setting)
        with dg.build_sensor_context(instance=shop.instance) as context:
            return len(sensor.evaluate_tick(context).run_requests or [])

    return at


def test_a_past_as_of_is_not_sent(cared: Shop) -> None:
    shutil.rmtree(ledger_file(cared.setting.warehouse).parent)
    before = received(cared, "gateway")
    cared.clock = lambda: MORNING + timedelta(days=30)
    cared.run(job=MESSAGES)
    assert received(cared, "gateway") == before
    assert {row["state"] for row in messages(cared)} == {"held_back"}
    assert {row["reason"] for row in messages(cared)} == {"control", TOO_LATE}


def test_a_held_tag_stops_the_trigger_and_what_was_decided_stays(cared: Shop) -> None:
    before = received(cared, "gateway")
    rows = orders()
    rows["amount"] = rows["amount"].astype(float) * 10
    cared.write(order_rows=rows)
    outcomes = cared.run(AS_OF, TRIGGERS)
    assert outcomes["triggers/care"] == "refused"
    assert "total_spend" in cared.reason("triggers/care")
    assert received(cared, "gateway") == before


def test_a_new_event_reaches_the_receiver_with_one_tick_and_one_run(cared: Shop) -> None:
    definitions = build_definitions(cared.setting)
    arrivals = definitions.resolve_sensor_def("trigger_arrivals")
    repository = definitions.get_repository_def()
    with dg.build_sensor_context(instance=cared.instance, repository_def=repository) as context:
        first = arrivals.evaluate_tick(context)
        row = {"order_id": "N1", "customer_id": "C060", "ordered_at": "2024-03-11 09:59:00", "amount": "99.00"}
        pd.DataFrame([row]).to_csv(cared.root / "catalog" / "data" / "orders_new.csv", index=False)
    with dg.build_sensor_context(cared.instance, cursor=first.cursor, repository_def=repository) as context:
        second = arrivals.evaluate_tick(context)
        assert [request.partition_key for request in second.run_requests or ()] == [AS_OF.isoformat()]
    cared.run(job=TRIGGERS)
    assert [row["person_id"] for row in received(cared, "gateway") if row["origin"] == "thanks"].count("C060") == 1
    entry = cared.rows("triggers/thanks").set_index("person_id").loc["C060"]
    assert (entry["event"], str(entry["event_at"])) == ("N1", "2024-03-11 09:59:00")


def test_who_unsubscribes_is_not_sent_the_next_message(cared: Shop) -> None:
    sent = messages(cared, origin="care", destination="gateway", state="sent")
    at = (MORNING + timedelta(hours=1)).isoformat()
    left = [{"key": row["key"], "state": "unsubscribed", "at": at} for row in sent]
    land(cared, "a.jsonl", [*left, *left[::-1], {"state": "?"}])
    waiting = {row["person_id"] for row in messages(cared, origin="thanks", reason="capped")}
    cared.clock = lambda: MORNING + timedelta(days=1, hours=2)
    cared.run(job=MESSAGES)
    with Receipts.open(ledger_file(cared.setting.warehouse)) as receipts:
        assert receipts.read().num_rows == len(sent)
    assert {row["person_id"] for row in messages(cared, origin="thanks", reason="unsubscribed")} == waiting
    assert {row["state"] for row in messages(cared, origin="thanks", reason="unsubscribed")} == {"held_back"}


def test_who_is_still_under_way_the_next_day_is_not_entered_again(cared: Shop) -> None:
    before = len(messages(cared, origin="care"))
    cared.clock = lambda: MORNING + timedelta(days=1)
    cared.run(AS_OF + timedelta(days=1), TRIGGERS, f"tags/* {SENDING}")
    rows = cared.rows("triggers/care", AS_OF + timedelta(days=1))
    assert set(rows["entered"]) == {date(2024, 3, 10)}
    assert len(messages(cared, origin="care")) == before


ANSWERS = """
source: answers
title: {zh: 回执, en: Answers}
kind: fact
person: person_id
time: at
key: [receipt_id]
read: {path: "${VALTAG_LANDING}/shop/receipts/*.csv"}
fields:
  - {name: receipt_id, type: text, required: true}
  - {name: person_id, type: text, required: true}
  - {name: step, type: text}
  - {name: state, type: text}
  - {name: at, type: timestamp, required: true}
"""
RESPONSE = """
category: response
title: {zh: 响应类, en: Response}
tags:
  - code: click_count
    title: {zh: 点击次数, en: Clicks}
    type: integer
    value: {fact: answers, agg: count, where: state = 'clicked'}
"""
FOLLOW = """
trigger: follow
title: {zh: 跟进, en: Follow}
when: click_count > 0
actions: [{step: call, to: desk}]
"""


def test_the_loop_is_closed_what_came_back_is_a_tag_that_starts_the_next_action(cared: Shop) -> None:
    clicked, quiet = messages(cared, origin="care", destination="gateway", state="sent")[:2]
    told = {"key": clicked["key"], "state": "clicked", "at": "2024-03-11T12:30:00+08:00"}
    land(cared, "a.jsonl", [told, told, {"key": quiet["key"], "state": "delivered", "at": "2024-03-11T12:00:00Z"}])
    cared.run(job=MESSAGES)
    files = {"sources/answers.yaml": ANSWERS, "tags/response.yaml": RESPONSE, "triggers/follow.yaml": FOLLOW}
    with_files(cared, files)
    cared.clock = lambda: MORNING + timedelta(days=1)
    assert cared.run(AS_OF + timedelta(days=1), TRIGGERS)["triggers/follow"] == "published"
    tag = cared.rows("tags/response", AS_OF + timedelta(days=1)).set_index("person_id")["click_count"]
    assert (tag[clicked["person_id"]], tag[quiet["person_id"]], tag.sum()) == (1, 0, 1)
    called = [row["person_id"] for row in received(cared, "desk") if row["origin"] == "follow"]
    assert called == [clicked["person_id"]]


def test_a_message_is_explained_down_to_its_source_rows(cared: Shop) -> None:
    (message, *_) = messages(cared, origin="care", destination="gateway", state="sent")
    land(cared, "a.jsonl", [{"key": message["key"], "state": "opened", "at": "2024-03-11T12:30:00+08:00"}])
    cared.run(job=MESSAGES)
    story = explain_message(cared.setting, Looking(message["key"][:12]))
    assert (story.trigger, story.step, story.person, story.state) == ("care", "sms", message["person_id"], "sent")
    conditions = {item.text: (item.holds, dict(item.seen)) for item in story.conditions}
    spend = story.decided["seen_total_spend"]
    assert conditions["total_spend > 100"] == (True, {"total_spend": spend})
    assert [event.what for event in story.events][-1] == "opened"
    tags = {item.code: item for item in story.tags}
    assert tags["total_spend"].value == spend
    assert tags["total_spend"].proven
    rows = pd.read_csv(cared.root / "catalog" / "data" / "orders.csv")
    mine = rows[rows["customer_id"] == message["person_id"]]
    assert tags["total_spend"].clean.counted == len(mine)


WALK = """
trigger: walk
title: {{zh: 旅程, en: Walk}}
when: total_spend > 100 and city = '成都'
actions:
  - {{step: first, to: desk, texts: {{task: {text}}}}}
  - {{step: later, to: desk, wait: 1d, texts: {{task: {text}}}}}
"""


def test_who_is_under_way_is_sent_what_the_file_said_then(cared: Shop) -> None:
    with_files(cared, {"triggers/walk.yaml": WALK.format(text="old")})
    cared.run(job=TRIGGERS, select=SENDING)
    with_files(cared, {"triggers/walk.yaml": WALK.format(text="new")})
    cared.clock = lambda: MORNING + timedelta(days=1)
    cared.run(AS_OF + timedelta(days=1), TRIGGERS, f"tags/* {SENDING}")
    walked = messages(cared, origin="walk", state="sent")
    assert {(row["step"], json.loads(row["values"])["task"]) for row in walked} == {
        ("first", "old"),
        ("later", "old"),
    }
    steps = [row["step"] for row in walked]
    assert steps.count("first") == steps.count("later") > 0
    assert len([row for row in received(cared, "desk") if row["origin"] == "walk"]) == len(walked)
    (message, *_) = messages(cared, origin="walk", step="later")
    story = explain_message(cared.setting, Looking(message["key"]))
    assert not story.is_present_version
    assert [item.holds for item in story.conditions] == [True, True, True]


def test_the_command_shows_decides_nothing_and_stops(cared: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--catalog", str(cared.root / "catalog"), "--data", str(cared.root / "data")]

    def valtag(*arguments: str) -> str:
        assert main([*arguments, *where]) == 0
        return capsys.readouterr().out

    (message, *_) = messages(cared, origin="care", destination="gateway", state="sent")
    assert "care" in valtag("trigger", "list")
    assert "when:" in valtag("trigger", "show", "care")
    assert "planned" in valtag("trigger", "dry-run", "care", "--as-of", "2024-03-10")
    log = json.loads(valtag("trigger", "log", message["person_id"], "--json"))
    assert {row["trigger"]: row["decision"] for row in log["entries"]}["care"] == "planned"
    assert message["key"] in {row["key"] for row in log["messages"]}
    assert "total_spend > 100" in valtag("explain", "message", message["key"][:10])
    assert "is stopped" in valtag("trigger", "stop", "trigger.care")
    assert json.loads(valtag("trigger", "show", "care", "--json"))["stopped"]
    assert "goes on" in valtag("trigger", "start", "trigger.care")
    assert main(["trigger", "show", "nothing", *where]) == 1
    assert main(["trigger", "stop", "trigger.caer", *where]) == 1
    assert "did you mean 'trigger.care'" in capsys.readouterr().err
    assert main(["explain", "message", "0" * 64, *where]) == 1


def test_a_dry_run_says_what_would_be_decided_and_decides_nothing(cared: Shop) -> None:
    before = messages(cared)
    found = forecast(cared.setting, "care", AS_OF + timedelta(days=0), UNSAID)
    (summary, _) = summaries(cared.setting, UNSAID)
    counts = {row["decision"]: row["n"] for row in found.rows}
    assert counts == summary.decided
    assert messages(cared) == before
