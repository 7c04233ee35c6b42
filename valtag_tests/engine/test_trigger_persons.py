"""Triggers when two persons turn out to be one, and when they were two after all."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from valtag_assets.delivery.keys import message_key
from valtag_assets.delivery.triggered import messages_expression
from valtag_assets.engine.persons import PERSON
from valtag_tests.engine.test_triggers import FLAGS, START, Company, catalog, days_of, plain, trigger_of
from valtag_tests.engine.trigger_reference import Day
from valtag_tests.kit import run

HOLDS = dict.fromkeys(FLAGS, True) | {"stop": False, "leaves": False, "bought": False}
STEPS = [
    {"step": "sms", "to": "gateway", "channel": "sms"},
    {"step": "again", "to": "gateway", "channel": "sms", "wait": "2d"},
]


class Linked(Company):
    """A company whose persons may turn out to be one."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, catalog(folder / "catalog", trigger_of(**{"actions": STEPS, **more})))
        self.successors = {}

    def day(self, number: int, wanting: str, others: str = "") -> list[tuple[Any, ...]]:
        """Evaluate that day: (person, id on entering, entry, decision, open?, reason, steps) of every row."""
        days = {who: Day(HOLDS) for who in wanting} | {who: Day({**HOLDS, "wants": False}) for who in others}
        if number and not self.kept:
            self.next()
        self.evaluate(START + timedelta(days=number), days)
        names = (PERSON, "entered_as", "entry", "decision", "is_open", "reason", "steps")
        return [tuple(row[name] for name in names) for row in self.rows]

    def keys(self) -> set[str]:
        """The keys of the messages that the newest table plans."""
        trigger = self.resolved.triggers["t"]
        found = messages_expression(self.resolved, trigger, self.flying, self.carried, self.today, linked=True)
        assert found is not None
        planned = run(found, {"triggers/t": [self.folder / "out.parquet"]}, self.folder / "messages.parquet")
        return set(planned["key"].to_pylist())


def key(person: str, entry: int, step: str = "sms") -> str:
    return message_key("gateway", "t", "v1", step, person, str(entry))


def test_of_two_open_entries_the_earlier_goes_on_and_nobody_enters_again(tmp_path: Path) -> None:
    company = Linked(tmp_path)
    company.day(0, "b", "a")
    company.day(1, "ab")
    assert company.keys() == {key("b", 1), key("a", 1)}
    company.successors = {"b": "a"}
    first = [("a", "a", 1, "planned", False, "merged", "sms"), ("a", "b", 1, "planned", True, "", "sms,again")]
    assert company.day(2, "a") == first
    assert company.keys() == {key("b", 1), key("a", 1), key("b", 1, "again")}, "what was planned keeps its key"
    company.again()
    assert company.day(2, "a") == first, "the same as-of once more changes nothing"
    company.kept = []
    assert company.day(3, "a") == first, "no later step of the entry that was closed"
    company.day(4, "", "a")
    assert company.day(5, "a")[-1] == ("a", "a", 2, "planned", True, "", "sms"), "a new spell is a new entry"


def test_a_merge_on_the_day_of_entering_leaves_one_entry(tmp_path: Path) -> None:
    company = Linked(tmp_path)
    company.day(0, "ab")
    company.again()
    company.successors = {"b": "a"}
    rows = company.day(0, "a")
    assert [(row[1], row[4], row[5]) for row in rows] == [("a", True, ""), ("b", False, "merged")]
    company.again()
    assert company.day(0, "a") == rows


def test_cooldown_and_the_most_entries_count_both(tmp_path: Path) -> None:
    company = Linked(tmp_path, again={"cooldown": "3d", "most": 2}, actions=STEPS[:1])
    company.day(0, "b", "a")
    company.day(1, "a", "b")
    company.successors = {"b": "a"}
    company.day(2, "", "a")
    assert company.day(3, "a")[-1][3] == "no_more"


def test_whoever_waits_has_waited_since_the_earlier_day(tmp_path: Path) -> None:
    company = Linked(tmp_path, dwell="3d")
    company.day(0, "b", "a")
    company.day(1, "ab")
    company.successors = {"b": "a"}
    assert company.day(2, "a") == [("a", "a", 1, "planned", True, "", "sms")]


def test_who_was_two_after_all_has_the_own_entries_back(tmp_path: Path) -> None:
    company = Linked(tmp_path)
    company.day(0, "b", "a")
    company.successors = {"b": "a"}
    assert company.day(1, "a") == [("a", "b", 1, "planned", True, "", "sms")]
    company.successors = {}
    rows = company.day(2, "ab")
    assert [row[:5] for row in rows] == [("a", "a", 1, "planned", True), ("b", "b", 1, "planned", True)]
    assert rows[1][6] == "sms,again", "the entry goes on with whom it began"


def test_who_was_closed_by_a_merge_is_still_in_when_they_are_apart_again(tmp_path: Path) -> None:
    company = Linked(tmp_path)
    company.day(0, "ab")
    company.successors = {"b": "a"}
    assert [row[4:6] for row in company.day(1, "a")] == [(True, ""), (False, "merged")]
    company.successors = {}
    rows = company.day(2, "ab")
    assert [row[:3] + row[4:6] for row in rows] == [("a", "a", 1, True, ""), ("b", "b", 1, True, "")]
    company.successors = {"a": "b"}
    assert [row[4:6] for row in company.day(3, "b")] == [(False, "merged"), (True, "")]


def test_nobody_is_in_twice_whatever_turns_out(tmp_path: Path) -> None:
    """Each day some of those still apart turn out to be one: at most one entry of a person is open, nobody enters
    while one is, no key is lost, no later step comes twice, and rows keep the id they were entered under."""
    company, lots, days = Linked(tmp_path), random.Random(1), None
    living, successors = [f"P{n:02d}" for n in range(60)], dict[str, str]()
    planned = set[str]()
    for number in range(5):
        for _ in range(6 if number else 0):
            survivor, gone = lots.sample(living, 2)
            living.remove(gone)
            successors = {was: survivor if now == gone else now for was, now in successors.items()}
            successors[gone] = survivor
        company.successors = successors
        days = days_of(lots, living, days)
        before = {row["entered_as"] for row in company.before if row["is_open"]}
        company.evaluate(START + timedelta(days=number), days)
        rows = company.rows
        opened = [row[PERSON] for row in rows if row["is_open"]]
        assert len(opened) == len(set(opened))
        new = {row[PERSON] for row in rows if row["entered"] == company.today}
        assert not new & {successors.get(who, who) for who in before}
        assert all(row[PERSON] == successors.get(row["entered_as"], row["entered_as"]) for row in rows)
        merged = [row for row in rows if "merged" in row["reason"].split(",")]
        assert not any(row["is_open"] for row in merged)
        keys = company.keys()
        assert len({(row["entered_as"], row["entry"]) for row in rows}) == len(rows)
        assert not planned - keys or number > 2, "keys of steps within the ttl stay"
        planned |= keys
        company.next()
    assert any("merged" in row["reason"].split(",") for row in company.before)


def test_where_nobody_turns_out_to_be_anybody_else_nothing_differs(tmp_path: Path) -> None:
    linked = Linked(tmp_path / "linked")
    apart = Company(tmp_path / "apart", linked.resolved)
    lots, days = random.Random(7), None
    for number in range(2):
        days = days_of(lots, [f"P{n:02d}" for n in range(80)], days)
        for company in (linked, apart):
            company.evaluate(START + timedelta(days=number), days)
        assert {row["entered_as"] == row[PERSON] for row in linked.rows} == {True}
        without = [{name: row[name] for name in row if name != "entered_as"} for row in linked.rows]
        assert plain(without) == plain(apart.rows)
        for company in (linked, apart):
            company.next()
