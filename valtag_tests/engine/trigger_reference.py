"""Triggers once more, person by person and day by day, in plain Python: what the engine must agree with."""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from valtag_assets.spec.trigger import Trigger

SENT = ("planned", "control", "test")


@dataclass
class Day:
    """What holds for a person on a date, rule by rule; ``event``: (key, time) of the newest row that counts."""

    holds: dict[str, bool]
    event: tuple[str, datetime] | None = None


@dataclass
class Reference:
    """A trigger at work. ``rows``: by (person, entry)."""

    trigger: Trigger
    costs: dict[str, Decimal]
    shared: tuple[float, int] | None = None
    version: str = "v1"
    rows: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    evaluated: bool = False

    def evaluate(self, today: date, days: dict[str, Day]) -> None:
        """One as-of: every person of ``days``."""
        before = dict(self.rows)
        for key in [key for key, row in before.items() if row["entered"] is None]:
            del self.rows[key]
        new = []
        for person in days:
            row = self._enter(person, today, days[person], before)
            if row is not None:
                new.append(row)
        self._budget([row for row in new if row["decision"] == "planned"])
        fresh = {row["person_id"] for row in new}
        for key, row in list(self.rows.items()):
            day = days.get(key[0])
            newest = key[1] == max(entry for person, entry in self.rows if person == key[0])
            still = day is not None and day.holds["when"] and newest and key[0] not in fresh
            row["is_open"] = bool(row["is_open"] and still)
            self._later(row, today, day)
        for row in new:
            self.rows[row["person_id"], row["entry"]] = row
        self.evaluated = True

    def _enter(self, person: str, today: date, day: Day, before: dict[Any, Any]) -> dict[str, Any] | None:
        spec = self.trigger
        past = sorted(
            (row for (who, _), row in before.items() if who == person and row["entered"]), key=lambda r: r["entry"]
        )
        waits = [row for (who, _), row in before.items() if who == person and row["entered"] is None]
        last = past[-1] if past else None
        counted = [row for row in past if row["decision"] in SENT]
        if (spec.start and today < spec.start) or (spec.end and today > spec.end) or not day.holds["when"]:
            return None
        event, since = None, today
        if spec.on.event is not None:
            event = day.event
            if event is None or (last and event[1] <= last["event_at"]):
                return None
            since = event[1].date()
        else:
            inside = last is not None and last["is_open"]
            again = inside and spec.on.each is not None and (today - last["entered"]).days >= spec.on.each
            if inside and not again:
                return None
            since = waits[0]["since"] if waits else last["since"] if again else today
        cooldown = spec.again.cooldown
        cooling = bool(cooldown and counted and (today - max(r["entered"] for r in counted)).days < cooldown)
        row = {
            "person_id": person,
            "entry": last["entry"] + 1 if last else 1,
            "since": since,
            "arm": self._arm(person),
            "version": self.version,
            "event": event[0] if event else None,
            "event_at": event[1] if event else None,
            **{"stepped": None, "exited": None, "steps": "", "messages": 0, "cost": Decimal(0)},
        }
        ready = spec.on.event is not None or (today - since).days + 1 >= spec.dwell
        if not ready or (spec.again.latch and cooling):
            reason = "cooldown" if ready else "dwell"
            return {**row, "entered": None, "decision": "waiting", "reason": reason, "is_open": False}
        goes, refused = self._open(day)
        decision = self._decide(day, len(counted), cooling, row["arm"], goes, refused)
        row |= {"entered": today, "decision": decision, "reason": ",".join(f"{s}:{w}" for s, w in refused)}
        row["is_open"] = spec.on.event is None
        if decision in SENT:
            row["steps"] = ",".join(goes)
        if decision == "planned":
            row["messages"] = len(goes)
            row["cost"] = sum((self.costs.get(step, Decimal(0)) for step in goes), Decimal(0))
        return row

    def _open(self, day: Day) -> tuple[list[str], list[tuple[str, str]]]:
        goes, refused = [], []
        for action in self.trigger.first_steps:
            if not day.holds.get(f"step_{action.step}", True):
                continue
            why = self._why_closed(action.channel, day)
            if why:
                refused.append((action.step, why))
            else:
                goes.append(action.step)
        return ([] if self.trigger.together and refused else goes), refused

    def _why_closed(self, channel: str, day: Day) -> str:
        if day.holds.get(f"suppressed_{channel}", False):
            return "suppressed"
        if not day.holds.get(f"consent_{channel}", True):
            return "no_consent"
        return "" if day.holds.get(f"reachable_{channel}", True) else "no_channel"

    def _decide(
        self, day: Day, times: int, cooling: bool, arm: str, goes: list[str], refused: list[tuple[str, str]]
    ) -> str:
        spec = self.trigger
        if spec.backlog == "skip" and not self.evaluated:
            return "backlog"
        if spec.again.most is not None and times >= spec.again.most:
            return "no_more"
        if cooling:
            return "cooldown"
        if day.holds.get("exclude", False):
            return "excluded"
        if not goes:
            return refused[0][1] if refused else "no_step"
        if spec.test is not None and not day.holds.get("tested", False):
            return "test"
        return "planned" if arm == "treated" else "control"

    def _arm(self, person: str) -> str:
        if self.shared is not None and lot(person, f"global holdout:{self.shared[1]}") < self.shared[0]:
            return "global_control"
        own = self.trigger.holdout
        return "control" if own is not None and lot(person, f"holdout:{own.seed}") < own.share else "treated"

    def _budget(self, rows: list[dict[str, Any]]) -> None:
        budget = self.trigger.budget
        if budget is None:
            return
        messages = sum(row["messages"] for row in self.rows.values())
        cost = sum((row["cost"] for row in self.rows.values()), Decimal(0))
        for row in sorted(rows, key=lambda r: digest(r["person_id"], f"budget {self.trigger.trigger}")):
            messages, cost = messages + row["messages"], cost + row["cost"]
            over = budget.messages is not None and messages > budget.messages
            if over or (budget.cost is not None and cost > budget.cost):
                row |= {"decision": "over_budget", "steps": "", "messages": 0, "cost": Decimal(0)}

    def _later(self, row: dict[str, Any], today: date, day: Day | None) -> None:
        if row["decision"] not in SENT or row["exited"] or row["entered"] >= today:
            return
        holds = day.holds if day is not None else {}
        if holds.get("unless", False):
            row["exited"] = today
            return
        for action in self.trigger.later_steps:
            settled = [text.split(":")[0] for text in f"{row['steps']},{row['reason']}".split(",")]
            if action.step in settled or row["entered"] + timedelta(days=action.wait or 0) > today:
                continue
            row["stepped"] = today
            why = self._why_closed(action.channel, day) if day is not None else "no_channel"
            if not holds.get(f"step_{action.step}", action.when is None):
                why = "left_out"
            if why:
                row["reason"] = ",".join(filter(None, [row["reason"], f"{action.step}:{why}"]))
                continue
            row["steps"] = ",".join(filter(None, [row["steps"], action.step]))
            if row["decision"] == "planned":
                row["messages"] += 1
                row["cost"] += self.costs.get(action.step, Decimal(0))


def digest(person: str, salt: str) -> str:
    return hashlib.md5(f"{salt}:{person}".encode()).hexdigest()


def lot(person: str, salt: str) -> float:
    return int(digest(person, salt)[:8], 16) / 16**8
