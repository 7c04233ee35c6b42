"""Any past as-of: what was known when, a range of days, and which as-ofs keep_last rests on."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from valtag_tests.cli.conftest import Shop, Valtag

SHANGHAI = ZoneInfo("Asia/Shanghai")
KEPT = """
category: habit
title: {zh: 习惯类, en: Habit}
tags:
  - code: last_category
    title: {zh: 最近品类, en: Last category}
    type: text
    value: {fact: orders, agg: last, of: category}
    windows: [3d]
    null_policy: keep_last
"""


@pytest.fixture
def corrected(valtag: Valtag, ran: Shop) -> tuple[Shop, list[dict]]:
    """A catalog whose orders were published, then corrected twice; and their history."""
    ran.edit("data/orders.csv", "D0005,C004,2025-05-01", "D0005,C004,2025-05-02")
    ran.edit("data/orders.csv", "D0005,", "D9005,")
    valtag("run", *ran.options, "--as-of", "2025-12-31", "-s", "clean/orders")
    ran.edit("data/orders.csv", "香水", "香氛")
    valtag("run", *ran.options, "--as-of", "2025-12-31", "-s", "clean/orders")
    history = valtag("snapshots", "clean/orders", *ran.options, "--json").json
    assert len(history) == 3
    return ran, history


def test_the_history_says_what_replaced_what_and_what_is_current(valtag: Valtag, corrected) -> None:
    shop, history = corrected
    assert [version["current"] for version in history] == [False, False, True]
    assert [version["replaced"] for version in history] == [None, history[0]["snapshot"], history[1]["snapshot"]]
    assert len({version["content_hash"] for version in history}) == 3
    said = valtag("snapshots", "clean/orders", *shop.options)
    assert said.code == 0 and "3 snapshots" in said.out
    assert all(version["snapshot"] in said.out for version in history)
    assert valtag("snapshots", "clean/orders", *shop.options, "--as-of", "2025-12-31", "--json").json == []


def test_what_was_served_at_an_instant_is_shown(valtag: Valtag, corrected) -> None:
    shop, history = corrected

    def shown(known_at: str) -> str:
        return valtag("show", "clean/orders", *shop.options, "--known-at", known_at, "--json").json["snapshot"]

    first, second, third = ((datetime.fromisoformat(v["known_at"]), v["snapshot"]) for v in history)
    naive = second[0].astimezone(SHANGHAI).replace(tzinfo=None)
    assert shown(second[0].isoformat()) == second[1]
    assert shown(str(naive)) == second[1]
    assert shown(str(naive - timedelta(microseconds=1))) == first[1]
    assert shown((third[0] + timedelta(days=1)).isoformat()) == third[1]
    assert [shown(snapshot) for _, snapshot in (first, second, third)] == [first[1], second[1], third[1]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--known-at", "2020-01-01T00:00"], "had no snapshot at 2020-01-01 00:00:00.000000+08:00: the first was"),
        (["--known-at", "2020-01-01"], "neither a snapshot of tags/transaction nor an instant"),
        (["--known-at", "yesterday"], "neither a snapshot of tags/transaction nor an instant"),
        (["--known-at", "2999-01-01T00:00Z", "--as-of", "2025-11-30"], "had no snapshot of 2025-11-30"),
    ],
)
def test_where_nothing_was_served_it_says_so(valtag: Valtag, served: Shop, options: list[str], says: str) -> None:
    said = valtag("show", "tags/transaction", *served.options, *options)
    assert said.code == 1
    assert says in said.err


def test_a_snapshot_of_another_as_of_is_named(valtag: Valtag, served: Shop) -> None:
    (version,) = valtag("snapshots", "tags/transaction", *served.options, "--json").json
    options = ("--known-at", version["snapshot"], "--as-of", "2025-12-30")
    said = valtag("show", "tags/transaction", *served.options, *options)
    assert said.code == 1 and "is of as-of 2025-12-31, not of 2025-12-30" in said.err


def test_a_range_is_run_in_order_and_told_day_by_day(valtag: Valtag, ran: Shop) -> None:
    said = valtag("run", *ran.options, "--from", "2025-12-29", "--to", "2025-12-31", "-s", "tags/transaction")
    assert said.code == 0
    days = [line.split() for line in said.out.splitlines() if line.startswith("2025-12-")]
    assert [(day[0], day[1]) for day in days] == [
        ("2025-12-29", "published"),
        ("2025-12-30", "published"),
        ("2025-12-31", "unchanged"),
    ]
    as_ofs = [v["as_of"] for v in valtag("snapshots", "tags/transaction", *ran.options, "--json").json]
    assert as_ofs == ["2025-12-29", "2025-12-30", "2025-12-31"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--from", "2025-12-30"], "both --from and --to"),
        (["--from", "2025-12-30", "--to", "2025-12-29"], "is later than"),
        (["--from", "2025-12-30", "--to", "2025-12-31", "--as-of", "2025-12-31"], "both --from and --to"),
        (["--from", "2024-12-30", "--to", "2025-01-02"], "before the catalog's start"),
    ],
)
def test_a_range_that_is_none_is_refused(valtag: Valtag, served: Shop, options: list[str], says: str) -> None:
    said = valtag("run", *served.options, *options)
    assert said.code == 1 and says in said.err


def test_the_days_on_which_kept_values_rest_are_run_first(valtag: Valtag, ran: Shop) -> None:
    ran.edit("project.yaml", "start: 2025-01-01", "start: 2025-12-28")
    (ran.catalog / "tags/habit.yaml").write_text(KEPT, encoding="utf-8")
    said = valtag("run", *ran.options, "--as-of", "2025-12-31", "-s", "tags/habit")
    assert said.code == 0, said.err
    as_ofs = [v["as_of"] for v in valtag("snapshots", "tags/habit", *ran.options, "--json").json]
    assert as_ofs == ["2025-12-28", "2025-12-29", "2025-12-30", "2025-12-31"]
