"""Who enters a trigger and what is decided, against a plain reference on random histories."""

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.identity.tables import SUCCESSORS
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.trigger_state import Planning, state_columns
from valtag_assets.engine.triggers import KEPT, PRIOR, trigger_expression
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import BOOLEAN, TEXT
from valtag_tests.engine.trigger_reference import Day, Reference
from valtag_tests.kit import category, make_catalog, run, tag, write_clean, write_persons, write_rows

START = date(2024, 3, 1)
FLAGS = ("wants", "leaves", "agreed", "has_phone", "has_advisor", "bought", "is_new")
COSTS = {"sms": Decimal("0.5"), "advisor": Decimal("1"), "again": Decimal("0.5")}
MEMBERS = {
    "source": "members",
    "title": {"zh": "会员", "en": "Members"},
    "kind": "master",
    "person": "member",
    "read": {"path": "members.csv"},
    "fields": [{"name": "member", "type": "text"}, *({"name": f"f_{flag}", "type": "boolean"} for flag in FLAGS)],
}
STOP = {
    "source": "stop",
    "title": {"zh": "勿扰", "en": "Do not disturb"},
    "kind": "list",
    "person": "member",
    "read": {"path": "stop.csv"},
    "fields": [{"name": "member", "type": "text"}],
}
CHANNELS = [
    {
        "code": "sms",
        "title": {"zh": "短信", "en": "SMS"},
        "reachable": "has_phone",
        "consent": "is_agreed",
        "suppressed": ["stop"],
    },
    {"code": "advisor", "title": {"zh": "顾问", "en": "Advisor"}, "reachable": "has_advisor"},
]


def named(flag: str) -> str:
    return flag if flag.startswith(("is_", "has_")) else f"is_{flag}"


def catalog(folder: Path, trigger: dict[str, Any], contact: dict[str, Any] | None = None) -> Resolved:
    project = {
        "name": "shop",
        "title": {"zh": "商店", "en": "Shop"},
        "start": date(2020, 1, 1),
        "persons": {"sources": ["members"]},
        "channels": CHANNELS,
        "contact": contact or {},
    }
    tags = [tag(named(flag), "boolean", {"master": "members", "of": f"f_{flag}"}) for flag in FLAGS]
    to = {name: receiver(name, channel) for name, channel in (("gateway", "sms"), ("desk", "advisor"))}
    files = {f"destinations/{name}.yaml": written for name, written in to.items()}
    files |= {"project.yaml": project, "sources/members.yaml": MEMBERS, "sources/stop.yaml": STOP}
    return make_catalog(folder, {**files, "tags/p.yaml": category("p", *tags), "triggers/t.yaml": trigger})


def receiver(code: str, channel: str) -> dict[str, Any]:
    path = {"path": f"out/{code}.jsonl", "format": "jsonl"}
    return {
        "destination": code,
        "title": {"zh": code, "en": code},
        "kind": "file",
        "channel": channel,
        "mode": "append",
        **path,
    }


def trigger_of(**more: Any) -> dict[str, Any]:
    return {
        "trigger": "t",
        "title": {"zh": "关怀", "en": "Care"},
        "when": "is_wants",
        "actions": [
            {"step": "sms", "to": "gateway", "channel": "sms", "fields": {"new": "is_new"}},
            {"step": "advisor", "to": "desk", "channel": "advisor"},
        ],
        **more,
    }


class Company:
    """A trigger evaluated day after day by the engine, its table handed on from one to the next.

    ``successors``: ids that are no more, and whose they are now; None where ids never change.
    """

    successors: dict[str, str] | None = None

    def __init__(self, folder: Path, resolved: Resolved, version: str = "v1") -> None:
        self.folder, self.resolved, self.version = folder, resolved, version
        self.flying = {version: resolved.triggers["t"]}
        self.before: list[dict[str, Any]] = []
        self.kept: list[dict[str, Any]] = []
        self.evaluated = False

    @property
    def carried(self) -> dict[str, Any]:
        found = {}
        for trigger in self.flying.values():
            found |= trigger.columns
        return found

    def evaluate(self, today: date, days: dict[str, Day], events: list[dict[str, Any]] | None = None) -> None:
        trigger = self.resolved.triggers["t"]
        planning = Planning(
            resolved=self.resolved,
            trigger=trigger,
            as_of=today,
            version=self.version,
            carried=self.carried,
            stored={
                PRIOR: self.carried if self.evaluated else None,
                KEPT: self.carried if self.kept else None,
            },
            flying=self.flying,
            costs=COSTS,
            first=not self.evaluated,
            linked=self.successors is not None,
            said=frozenset((PRIOR, KEPT)) if self.successors is not None else frozenset(),
        )
        columns = state_columns(self.carried, linked=planning.linked)
        moved = [{"was": was, "now": now} for was, now in (self.successors or {}).items()]
        flags = {PERSON: TEXT} | {named(flag): BOOLEAN for flag in FLAGS}
        rows = [{PERSON: who, **{named(flag): day.holds[flag] for flag in FLAGS}} for who, day in days.items()]
        stopped = [{PERSON: who} for who, day in days.items() if day.holds["stop"]]
        inputs = {
            PERSONS: write_persons(self.folder, days),
            "tags/p": [write_rows(self.folder / "p.parquet", flags, rows)],
            "lists/stop": [write_rows(self.folder / "stop.parquet", {PERSON: TEXT}, stopped)],
            PRIOR: [write_rows(self.folder / "prior.parquet", columns, self.before)],
            KEPT: [write_rows(self.folder / "kept.parquet", columns, self.kept)],
            SUCCESSORS: [write_rows(self.folder / "successors.parquet", {"was": TEXT, "now": TEXT}, moved)],
        }
        if trigger.event is not None:
            inputs["clean/orders"] = write_clean(self.folder, self.resolved, "orders", events or [])
        self.asked = trigger_expression(planning), inputs
        self.rows = run(*self.asked, self.folder / "out.parquet").to_pylist()
        self.today = today

    def again(self) -> None:
        """The same as-of once more, with what it decided."""
        self.kept = self.rows

    def next(self) -> None:
        self.before, self.kept, self.evaluated = self.rows, [], True


def holding(person: str, day: Day) -> Day:
    """The same as the trigger's rules have it."""
    holds = day.holds
    rules = {
        "when": holds["wants"],
        "exclude": holds["leaves"],
        "suppressed_sms": holds["stop"],
        "consent_sms": holds["agreed"],
        "reachable_sms": holds["has_phone"],
        "reachable_advisor": holds["has_advisor"],
        "unless": holds["bought"],
        "step_advisor": holds["is_new"],
        "step_again": holds["is_new"],
        "tested": holds["stop"],
    }
    return Day(rules, day.event)


def days_of(lots: random.Random, persons: list[str], before: dict[str, Day] | None) -> dict[str, Day]:
    """Everybody's flags of a day: most as on the day before; a few persons are missing."""
    chance = {"wants": 0.5, "leaves": 0.1, "agreed": 0.8, "bought": 0.1, "stop": 0.1}
    found = {}
    for person in persons:
        if lots.random() < 0.03:
            continue
        old = (before or {}).get(person)
        holds = {
            flag: old.holds[flag] if old and lots.random() < 0.6 else lots.random() < chance.get(flag, 0.85)
            for flag in (*FLAGS, "stop")
        }
        found[person] = Day(holds)
    return found


CASES: dict[str, dict[str, Any]] = {
    "an edge": {},
    "both or neither, excluded, held out": {
        "together": True,
        "exclude": "is_leaves",
        "holdout": {"share": 0.3, "seed": 5},
    },
    "dwell, cooldown": {"dwell": "2d", "again": {"cooldown": "3d"}},
    "a cooldown that latches": {"again": {"cooldown": "3d", "latch": True}, "exclude": "is_leaves"},
    "again each day, at most twice": {"on": {"each": "1d"}, "again": {"most": 2}},
    "again each two days, latching": {
        "on": {"each": "2d"},
        "again": {"cooldown": "2d", "latch": True},
        "dwell": "2d",
    },
    "budget of messages, dates": {
        "budget": {"messages": 40},
        "start": date(2024, 3, 2),
        "end": date(2024, 3, 5),
        "backlog": "skip",
    },
    "budget of cost, a test": {"budget": {"cost": 6}, "test": {"list": "stop"}, "holdout": {"share": 0.2, "seed": 4}},
    "a journey": {
        "unless": "is_bought",
        "holdout": {"share": 0.3, "seed": 5},
        "again": {"cooldown": "2d"},
        "actions": [
            {"step": "sms", "to": "gateway", "channel": "sms"},
            {"step": "advisor", "to": "desk", "channel": "advisor", "when": "is_new"},
            {"step": "again", "to": "gateway", "channel": "sms", "wait": "2d", "when": "is_new"},
        ],
    },
}
GLOBAL = {"both or neither, excluded, held out": {"holdout": {"share": 0.2, "seed": 9}}}


@pytest.mark.parametrize("name", CASES)
def test_a_trigger_decides_as_the_reference_does(name: str, tmp_path: Path) -> None:
    resolved = catalog(tmp_path / "catalog", trigger_of(**CASES[name]), GLOBAL.get(name))
    spec = resolved.triggers["t"].spec
    shared = resolved.catalog.project.contact.holdout
    reference = Reference(spec, COSTS, None if shared is None else (shared.share, shared.seed))
    company, lots, days = Company(tmp_path, resolved), random.Random(name), None
    persons = [f"P{n:03d}" for n in range(200)]
    decisions = set()
    for number in range(4):
        days = days_of(lots, persons, days)
        today = START + timedelta(days=number)
        seen = {who: restricted(spec, holding(who, day)) for who, day in days.items()}
        reference.evaluate(today, seen)
        company.evaluate(today, days)
        assert plain(company.rows) == plain(reference.rows.values()), today
        if number == 2:
            before = company.rows
            company.again()
            company.evaluate(today, days)
            assert company.rows == before, "the same as-of once more changes nothing"
        decisions |= {row["decision"] for row in company.rows}
        company.next()
    assert len(decisions) > 2, decisions


def restricted(spec: Any, day: Day) -> Day:
    """Without the rules the trigger does not have."""
    steps = {f"step_{action.step}" for action in spec.actions if action.when is not None}
    unknown = {"step_advisor", "step_again"} - steps
    unknown |= {name for name in ("exclude", "unless") if getattr(spec, name) is None}
    unknown |= set() if spec.test is not None and spec.test.list else {"tested"}
    return Day({name: value for name, value in day.holds.items() if name not in unknown}, day.event)


def plain(rows: Any) -> list[dict[str, Any]]:
    """Sorted, without the values kept."""
    kept = [{name: value for name, value in row.items() if not name.startswith("seen_")} for row in rows]
    return sorted(kept, key=lambda row: (row["person_id"], row["entry"]))


def test_the_values_a_person_entered_with_stay(tmp_path: Path) -> None:
    company = Company(tmp_path, catalog(tmp_path / "catalog", trigger_of()))
    holds = dict.fromkeys(FLAGS, True) | {"stop": False}
    company.evaluate(START, {"a": Day(holds)})
    company.next()
    company.evaluate(START + timedelta(days=1), {"a": Day({**holds, "is_new": False})})
    (row,) = company.rows
    assert (row["seen_is_new"], row["seen_is_wants"], row["entered"]) == (True, True, START)


def test_a_day_decided_already_is_not_decided_again_when_its_data_are_corrected(tmp_path: Path) -> None:
    company = Company(tmp_path, catalog(tmp_path / "catalog", trigger_of()))
    holds = dict.fromkeys(FLAGS, True) | {"stop": False, "leaves": False}
    company.evaluate(START, {"a": Day(holds), "b": Day({**holds, "wants": False})})
    company.again()
    company.evaluate(START, {"a": Day({**holds, "wants": False}), "b": Day(holds)})
    assert [(row[PERSON], row["entry"], row["decision"], row["is_open"]) for row in company.rows] == [
        ("a", 1, "planned", False),
        ("b", 1, "planned", True),
    ]


ORDER = {"on": {"event": {"fact": "orders", "where": "amount > 10", "late": "1d"}}}


def test_an_event_starts_the_action_once_whatever_the_day(tmp_path: Path) -> None:
    resolved = catalog(tmp_path / "catalog", trigger_of(**ORDER, again={"cooldown": "2d"}))
    spec, lots = resolved.triggers["t"].spec, random.Random(3)
    reference, company = Reference(spec, COSTS), Company(tmp_path, resolved)
    persons = [f"P{n}" for n in range(60)]
    rows: list[dict[str, Any]] = []
    for number in range(3):
        today = START + timedelta(days=number)
        days = days_of(lots, persons, None)
        for n in range(60):
            at = datetime.combine(today, datetime.min.time()) + timedelta(hours=lots.randrange(-40, 40))
            row = {"number": 1000 * number + n, "member": lots.choice(persons), "paid_at": at}
            rows.append({**row, "amount": Decimal(lots.randrange(1, 30))})
        newest: dict[str, dict[str, Any]] = {}
        for row in rows:
            if row["amount"] > 10 and row["paid_at"].date() >= today:
                best = newest.get(row["member"])
                if best is None or (row["paid_at"], row["number"]) > (best["paid_at"], best["number"]):
                    newest[row["member"]] = row
        seen = {
            who: Day(
                restricted(spec, holding(who, day)).holds,
                (str(newest[who]["number"]), newest[who]["paid_at"]) if who in newest else None,
            )
            for who, day in days.items()
        }
        reference.evaluate(today, seen)
        company.evaluate(today, days, rows)
        assert plain(company.rows) == plain(reference.rows.values()), today
        company.again()
        before = company.rows
        company.evaluate(today, days, rows)
        assert company.rows == before
        company.next()
    assert {"planned", "cooldown"} <= {row["decision"] for row in company.rows}


def test_who_is_under_way_finishes_on_the_version_entered_on(tmp_path: Path) -> None:
    first = trigger_of(
        actions=[
            {"step": "sms", "to": "gateway", "channel": "sms"},
            {"step": "old_way", "to": "gateway", "channel": "sms", "wait": "1d"},
        ]
    )
    second = trigger_of(
        actions=[
            {"step": "sms", "to": "gateway", "channel": "sms"},
            {"step": "new_way", "to": "gateway", "channel": "sms", "wait": "1d"},
        ]
    )
    old = catalog(tmp_path / "one", first)
    company = Company(tmp_path, old, "v1")
    holds = dict.fromkeys(FLAGS, True) | {"stop": False, "leaves": False}
    company.evaluate(START, {"a": Day(holds), "b": Day({**holds, "wants": False})})
    company.next()
    company.resolved, company.version = catalog(tmp_path / "two", second), "v2"
    company.flying = {"v1": old.triggers["t"], "v2": company.resolved.triggers["t"]}
    for number in (1, 2):
        company.evaluate(START + timedelta(days=number), {"a": Day(holds), "b": Day(holds)})
        company.next()
    assert [(row[PERSON], row["version"], row["steps"]) for row in company.rows] == [
        ("a", "v1", "sms,old_way"),
        ("b", "v2", "sms,new_way"),
    ]


def test_a_rehearsal_uses_nobody_up(tmp_path: Path) -> None:
    rehearsed = catalog(tmp_path / "one", trigger_of(test=True, again={"most": 1, "cooldown": "9d"}))
    company = Company(tmp_path, rehearsed, "v1")
    holds = dict.fromkeys(FLAGS, True) | {"stop": False, "leaves": False}
    for number in (0, 1):
        company.evaluate(START + timedelta(days=number), {"a": Day(holds)})
        company.next()
    assert [row["decision"] for row in company.rows] == ["test"]
    company.resolved = catalog(tmp_path / "two", trigger_of(again={"most": 1, "cooldown": "9d"}))
    company.version, company.flying = "v2", {"v2": company.resolved.triggers["t"]}
    for number in (2, 3):
        company.evaluate(START + timedelta(days=number), {"a": Day(holds)})
        company.next()
    assert [(row["entry"], row["decision"]) for row in company.rows] == [(1, "test"), (2, "planned")]


def test_arms_are_drawn_from_the_person_alone(tmp_path: Path) -> None:
    resolved = catalog(tmp_path / "catalog", trigger_of(holdout={"share": 0.2, "seed": 1}))
    company = Company(tmp_path, resolved)
    holds = dict.fromkeys(FLAGS, True) | {"stop": False, "leaves": False}
    persons = {f"P{n}": Day(holds) for n in range(2000)}
    company.evaluate(START, persons)
    arms = {row[PERSON]: row["arm"] for row in company.rows}
    assert 330 < sum(arm == "control" for arm in arms.values()) < 470
    later = Company(tmp_path, resolved)
    later.evaluate(START + timedelta(days=40), {who: persons[who] for who in list(persons)[::3]})
    assert {row[PERSON]: row["arm"] for row in later.rows}.items() <= arms.items()
    assert {row["decision"] for row in company.rows if row["arm"] == "control"} == {"control"}


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    resolved = catalog(tmp_path / "catalog", trigger_of())
    company = Company(tmp_path, resolved)
    company.evaluate(START, {"a": Day(dict.fromkeys((*FLAGS, "stop"), True))})
    assert pq.read_schema(tmp_path / "out.parquet").names == list(state_columns(resolved.triggers["t"].columns))
    assert replace(Planning(resolved, resolved.triggers["t"], START, "v", {}), first=True).runs
