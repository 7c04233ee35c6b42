"""``valtag trigger``: which triggers there are, what one decided, what it would decide, sending, stopping."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import counting, require_visible, through
from valtag_assets.console.person import whom
from valtag_assets.console.screen import count, table
from valtag_assets.delivery.gateway import stops_of
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.stops import EVERYTHING
from valtag_assets.engine.access import segment_need, trigger_need
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.triggers import decided_expression, state_table, trigger_expression, triggers_name
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.triggers import (
    planning_of,
    state_inputs,
    trigger_gate,
    trigger_lines,
    version_of,
)
from valtag_assets.spec.access import Asking
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

Counts = dict[str, int | None]
_UNTOLD = {"n": None, "messages": None, "cost": None}
_FEW = "…"


@dataclass(frozen=True)
class Summary:
    """A trigger as it stands: ``decided``: of its newest as-of, by decision; ``messages``: all there ever were, by
    state (None: so many are not told to this reader); ``reason``: why a newer state was not published; ``stopped``:
    whether the kill switch holds it."""

    code: str
    title: dict[str, str]
    version: str
    as_of: date | None
    decided: Counts
    messages: Counts
    reason: str | None
    stopped: bool
    test: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Forecast:
    """What a trigger would decide at an as-of: rows (decision, reason, arm, n persons, messages, cost), whose numbers
    are None where this reader is not told them."""

    code: str
    as_of: date
    rows: Sequence[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_trigger(setting: Setting, code: str) -> ResolvedTrigger:
    """The trigger of that code. Mistake for any other."""
    found = setting.resolved.triggers.get(code)
    if found is None:
        raise Mistake(f"'{code}' is no trigger{did_you_mean(code, list(setting.resolved.triggers))}")
    return found


def summaries(setting: Setting, by: Asking) -> list[Summary]:
    """Every trigger of the catalog."""
    with counting(setting, "report", "the list of triggers", by) as visit:
        return [_summary(setting, trigger, visit.reader) for trigger in setting.resolved.triggers.values()]


def summary(setting: Setting, trigger: ResolvedTrigger, by: Asking) -> Summary:
    """One trigger as it stands. Denied for a role of rights that may not read all that its condition reads."""
    with counting(setting, "report", f"triggers/{trigger.code}", by) as visit:
        visit.reader.require_asked(trigger_need(setting.resolved, trigger.code), f"whom {trigger.code} has found")
        return _summary(setting, trigger, visit.reader)


def _summary(setting: Setting, trigger: ResolvedTrigger, reader: Reader) -> Summary:
    ref = TableRef("triggers", trigger.code)
    served, attempt = setting.warehouse.latest(ref), setting.warehouse.newest_attempt(ref)
    stopped = stops_of(setting.warehouse).now() & {"all", f"trigger.{trigger.code}"}
    blocked = attempt is not None and attempt.blocks and (served is None or attempt.at >= served.known_at)
    return Summary(
        code=trigger.code,
        title=trigger.spec.title.model_dump(),
        version=version_of(trigger),
        as_of=served.as_of if served is not None else None,
        decided=_told(setting, trigger.code, _decided(served), reader),
        messages=_told(setting, trigger.code, _messages(setting, trigger.code), reader),
        reason=attempt.reason if blocked and attempt is not None else None,
        stopped=bool(stopped),
        test=trigger.spec.test is not None,
    )


def _told(setting: Setting, code: str, counts: Mapping[str, int], reader: Reader) -> Counts:
    """The counts, those of few persons left out where the reader may not read what the trigger reads."""
    need, everybody = trigger_need(setting.resolved, code), _population(setting)
    return {name: n if reader.tells(need, n, everybody) else None for name, n in counts.items()}


def _population(setting: Setting) -> int:
    served = setting.warehouse.current(TableRef.parse(PERSONS), None)
    return 0 if served is None else served.rows


def _decided(served: Snapshot | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in served.metrics["decided"] if served is not None else ():
        found[row["decision"]] = found.get(row["decision"], 0) + row["n"]
    return dict(sorted(found.items()))


def _messages(setting: Setting, code: str) -> dict[str, int]:
    file, found = ledger_file(setting.warehouse), dict[str, int]()
    if file.exists():
        with Outbox.open(file) as outbox:
            for row in outbox.counts(origin=code):
                if row["kind"] == "message":
                    found[row["state"]] = found.get(row["state"], 0) + row["messages"]
    return found


def forecast(setting: Setting, code: str, as_of: date, by: Asking) -> Forecast:
    """What the trigger would decide at ``as_of``; nothing is decided. Mistake where its inputs are held, Denied for a
    role of rights that may not read all that its condition reads."""
    trigger = find_trigger(setting, code)
    need = trigger_need(setting.resolved, code)
    with counting(setting, "preview", f"triggers/{code}", by) as visit:
        visit.reader.require_asked(need, f"whom {code} would find")
        rows = _forecast(setting, trigger, as_of)
        everybody = _population(setting)
        told = [row if visit.reader.tells(need, row["n"], everybody) else {**row, **_UNTOLD} for row in rows]
        visit.rows = len(told)
    return Forecast(code, as_of, told)


def _forecast(setting: Setting, trigger: ResolvedTrigger, as_of: date) -> list[dict[str, Any]]:
    planning, past = planning_of(setting, trigger, as_of)
    gate = trigger_gate(setting, past.flying, as_of)
    if not gate.open:
        raise Mistake(f"{trigger.code} decides nothing at {as_of}: {'; '.join(gate.faults)}")
    expression = decided_expression(planning, trigger_expression(planning))
    with open_duckdb(setting.spill) as engine:
        return engine.fetch(expression, state_inputs(gate, past.prior, past.kept)).to_pylist()


def print_summaries(console: Console, found: Sequence[Summary]) -> None:
    """One line per trigger."""
    rows = [
        [
            item.code,
            f"{item.title['zh']} · {item.title['en']}",
            str(item.as_of or "never"),
            _counts(item.decided),
            _counts(item.messages),
            " ".join(word for word, is_so in (("stopped", item.stopped), ("test", item.test)) if is_so),
        ]
        for item in found
    ]
    columns = ["trigger", "title", "as-of", "decided 决定", "messages 消息", ""]
    console.print(table("", columns, rows))
    for item in found:
        if item.reason is not None:
            console.print(Text(f"{item.code}: {item.reason}", style="red"), soft_wrap=True)


def print_summary(console: Console, trigger: ResolvedTrigger, found: Summary) -> None:
    """The definition, then how it stands."""
    console.print(Text(f"{found.code}  {trigger.spec.title}", style="bold"))
    console.print(Text(f"version {found.version}, as-of {found.as_of or 'never evaluated'}", style="dim"))
    console.print(Text(trigger_lines(trigger)))
    console.print(Text(f"decided: {_counts(found.decided) or 'nothing'}"))
    console.print(Text(f"messages: {_counts(found.messages) or 'none'}"))
    if found.reason is not None:
        console.print(Text(found.reason, style="red"), soft_wrap=True)


def print_forecast(console: Console, found: Forecast) -> None:
    """Who would enter, by decision; nothing was decided."""
    rows = [[row["decision"], row["reason"], row["arm"], *_numbers(row)] for row in found.rows]
    console.print(Text(f"{found.code} at {found.as_of} would decide:", style="bold"))
    console.print(table("", ["decision", "reason", "arm", "!persons", "!messages", "!cost"], rows))


def _numbers(row: Mapping[str, Any]) -> list[str]:
    if row["n"] is None:
        return [_FEW, _FEW, ""]
    return [count(row["n"]), count(row["messages"]), f"{row['cost']:.2f}"]


def _counts(numbers: Counts) -> str:
    return ", ".join(f"{name} {_FEW if number is None else count(number)}" for name, number in numbers.items())


@dataclass(frozen=True)
class PersonLog:
    """What triggers decided about a person, and what became of it: ``entries`` of the newest tables, ``messages`` of
    the outbox, oldest first."""

    person: str
    entries: Sequence[dict[str, Any]]
    messages: Sequence[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_ENTRY = ("entry", "since", "entered", "decision", "reason", "arm", "steps", "version")
_MESSAGE = ("key", "kind", "origin", "step", "destination", "state", "reason", "as_of", "created_at", "sent_at")


def person_log(setting: Setting, person: str, by: Asking) -> PersonLog:
    """The decision log of one person. Denied for a role that may not read of single persons."""
    with through(setting, "explain", by, "the decisions of triggers", person=person) as visit:
        visit.reader.require_persons()
        visit.person = whom(setting, visit.reader, person)
        require_visible(setting, visit.reader, visit.person)
        found = _log_of(setting, visit.reader, visit.person)
        visit.rows = len(found.entries) + len(found.messages)
    return found


def _log_of(setting: Setting, reader: Reader, person: str) -> PersonLog:
    resolved = setting.resolved
    known = [code for code in resolved.triggers if reader.may(trigger_need(resolved, code))]
    entries: list[dict[str, Any]] = []
    with open_duckdb(setting.spill) as engine:
        for code in known:
            served = setting.warehouse.latest(TableRef("triggers", code))
            if served is not None:
                state = state_table(triggers_name(code), {})
                mine = state.filter(state[PERSON] == person).order_by("entry").select(*_ENTRY)
                rows = engine.fetch(mine, {triggers_name(code): served.files}).to_pylist()
                entries += [{"trigger": code, **row} for row in rows]
    file, messages = ledger_file(setting.warehouse), list[dict[str, Any]]()
    if file.exists():
        with Outbox.open(file) as outbox:
            rows = outbox.read(person=person).to_pylist()
            messages = [{name: row[name] for name in _MESSAGE} for row in rows if _may_know(reader, row, known)]
    return PersonLog(person, entries, messages)


def _may_know(reader: Reader, message: Mapping[str, Any], triggers: Collection[str]) -> bool:
    """Whether the reader may know why the message was sent: by a trigger, or as one of an audience."""
    delivery = reader.resolved.deliveries.get(message["origin"])
    if message["origin"] in triggers:
        return True
    return delivery is not None and reader.may(segment_need(reader.resolved, delivery.spec.segment))


def find_stop(setting: Setting, name: str) -> str:
    """``name`` if it stands for something that sends: all, channel.x, destination.x, trigger.x or delivery.x."""
    resolved = setting.resolved
    kinds = {
        "channel": resolved.channels,
        "destination": resolved.destinations,
        "trigger": resolved.triggers,
        "delivery": resolved.deliveries,
    }
    known = [EVERYTHING, *(f"{kind}.{code}" for kind, codes in kinds.items() for code in codes)]
    if name not in known:
        raise Mistake(f"'{name}' is nothing that sends{did_you_mean(name, known)}; write all, or as trigger.x")
    return name


def print_log(console: Console, found: PersonLog) -> None:
    """Entries, then messages."""
    names = ["trigger", *_ENTRY[:-1]]
    console.print(table("decisions 决定", names, [[_text(row[name]) for name in names] for row in found.entries]))
    rows = [[row["key"][:12], *(_text(row[name]) for name in _MESSAGE[2:7])] for row in found.messages]
    console.print(table("messages 消息", ["key", *_MESSAGE[2:7]], rows))


def _text(value: object) -> str:
    return "" if value is None else str(value)
