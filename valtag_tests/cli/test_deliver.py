"""``valtag deliver`` tells before it sends; ``valtag outbox`` tells what waits for a decision."""

import pytest

from valtag_assets.delivery.message import Result
from valtag_assets.delivery.outbox import Outbox
from valtag_tests.cli.conftest import Shop, Valtag
from valtag_tests.delivery.test_outbox import LEASE, NOW, messages

DESTINATION = """
destination: drop
title: {zh: 文件, en: Files}
kind: file
path: drop
format: jsonl
cost: 0.1
fields: [city]
"""
DELIVERY = """
deliveries:
  - {code: to_drop, title: {zh: 同步, en: Sync}, segment: SEGMENT, to: drop, patience: 0}
"""


@pytest.fixture
def posted(ran: Shop) -> Shop:
    """A shop that was run, and then got a delivery."""
    for folder, text in (("destinations", DESTINATION), ("deliveries", DELIVERY)):
        (ran.catalog / folder).mkdir()
        segment = (ran.catalog / "segments/audiences.yaml").read_text(encoding="utf-8").partition("code: ")[2]
        found = text.replace("SEGMENT", segment.split()[0].strip(","))
        (ran.catalog / folder / "all.yaml").write_text(found, encoding="utf-8")
    return ran


def test_a_dry_run_tells_and_sends_nothing_and_the_delivery_does_just_that(valtag: Valtag, posted: Shop) -> None:
    told = valtag("deliver", "to_drop", "--dry-run", "--json", *posted.options)
    assert told.code == 0, told.err
    members = told.json["desired"]
    assert told.json["add"] == members > 0 and told.json["cost"] == pytest.approx(0.1 * members)
    (file,) = [posted.data / "deliveries/shop/drop/to_drop.jsonl"]
    assert not file.exists()
    done = valtag("deliver", "to_drop", "--json", *posted.options)
    assert done.code == 0, done.err
    (outcome,) = done.json["messages"]
    assert (outcome["state"], outcome["messages"]) == ("acknowledged", members)
    assert len(file.read_text(encoding="utf-8").splitlines()) == members
    again = valtag("deliver", "to_drop", "--dry-run", *posted.options)
    assert again.code == 0 and "nothing was sent" in again.out
    counted = valtag("outbox", "--json", *posted.options)
    assert counted.code == 0 and counted.json["unknown"] == []


def test_a_delivery_that_is_none_or_is_switched_off_is_named(valtag: Valtag, posted: Shop) -> None:
    said = valtag("deliver", "to_drip", *posted.options)
    assert said.code == 1 and "did you mean 'to_drop'" in said.err
    posted.edit("destinations/all.yaml", "cost: 0.1", "enabled: false")
    said = valtag("deliver", "to_drop", *posted.options)
    assert said.code == 1 and "drop says enabled: false" in said.err


def test_what_waits_for_a_decision_is_shown_masked_until_somebody_decides(valtag: Valtag, posted: Shop) -> None:
    assert valtag("outbox", *posted.options).code == 1
    with Outbox.open(posted.data / "warehouse/shop/outbox/outbox.sqlite") as outbox:
        outbox.plan(messages(["C0001234"]))
        (claimed,) = outbox.claim("sms", 1, NOW, LEASE)
        outbox.settle([Result(claimed, "unknown", NOW, "no answer: ServerDisconnectedError", doubt=True)])
    shown = valtag("outbox", *posted.options)
    assert shown.code == 2 and claimed.key in shown.out and "C***34" in shown.out and "C0001234" not in shown.out
    assert valtag("outbox", "--close", claimed.key, *posted.options).code == 0
    said = valtag("outbox", "--requeue", claimed.key, *posted.options)
    assert said.code == 1 and "waits for a decision" in said.err
