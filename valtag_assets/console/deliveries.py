"""``valtag deliver`` and ``valtag outbox``: what would be sent, what was, and what waits for a decision."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import Visit, sending
from valtag_assets.console.exits import Exit
from valtag_assets.console.screen import count, state, table
from valtag_assets.delivery.delivering import Delivered, ledger_file
from valtag_assets.delivery.outbox import Outbox
from valtag_assets.expression.resolved_delivery import ResolvedDelivery
from valtag_assets.graph.deliveries import deliveries_name, delivering, expected, is_past
from valtag_assets.graph.gates import Gate
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.masking import mask_key
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

_COUNTED = ("desired", "held", "add", "change", "remove", "unchanged", "left", "under_way")


@dataclass(frozen=True)
class Forecast:
    """What a delivery would do at ``as_of``; ``done`` is None where its inputs are held."""

    delivery: ResolvedDelivery
    as_of: date
    gate: Gate
    done: Delivered | None

    @property
    def exit(self) -> Exit:
        sound = self.done is not None and all(verdict.passed for verdict in self.done.verdicts)
        return Exit.DONE if sound else Exit.HELD

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "delivery": self.delivery.code,
            "destination": self.delivery.destination.code,
            "as_of": self.as_of.isoformat(),
            "faults": list(self.gate.faults),
        }
        if self.done is not None:
            difference = self.done.difference
            found |= {name: getattr(difference, name) for name in _COUNTED}
            found |= {"cost": self.done.cost, "coverage": dict(difference.coverage)}
            found["checks"] = {verdict.check: verdict.passed for verdict in self.done.verdicts}
        return found


def find_delivery(setting: Setting, code: str) -> ResolvedDelivery:
    """The delivery called ``code``. Mistake where there is none, or it is switched off."""
    known = setting.resolved.deliveries
    if code not in known:
        raise Mistake(f"'{code}' is no delivery{did_you_mean(code, sorted(known))}")
    if known[code] not in list(delivering(setting)):
        off = "it" if not known[code].spec.enabled else f"its destination {known[code].destination.code}"
        raise Mistake(f"{code} is not sent: {off} says enabled: false")
    return known[code]


def forecast(setting: Setting, code: str, as_of: date | None, by: Asking) -> Forecast:
    """What the delivery would do; nothing is sent. Without ``as_of``: the newest of its audience."""
    delivery = find_delivery(setting, code)
    with sending(setting, [delivery.destination], deliveries_name(code), by):
        return _forecast(setting, delivery, as_of)


def _forecast(setting: Setting, delivery: ResolvedDelivery, as_of: date | None) -> Forecast:
    day = as_of or newest(setting, delivery)
    if is_past(setting, day):
        raise Mistake(f"{day} is past: there are newer data, and a past as-of is never sent")
    return Forecast(delivery, day, *expected(setting, delivery, day))


def newest(setting: Setting, delivery: ResolvedDelivery) -> date:
    """The newest as-of of the audience. Mistake where it was never published."""
    members = setting.warehouse.latest(TableRef("segments", delivery.spec.segment))
    if members is None or members.as_of is None:
        raise Mistake(f"segments/{delivery.spec.segment} is not published yet: valtag run makes it")
    return members.as_of


def print_forecast(console: Console, found: Forecast) -> None:
    """The expected adds, changes, removes and skips, the cost, and what the checks say."""
    spec, to = found.delivery.spec, found.delivery.destination
    console.print(Text(f"{spec.title} → {to.spec.title} ({to.spec.mode}), as-of {found.as_of}", style="bold"))
    for fault in found.gate.faults:
        console.print(Text(f"  held  {fault}", style="red"), soft_wrap=True)
    if found.done is not None:
        difference = found.done.difference
        rows = [[name, zh, count(getattr(difference, name))] for name, zh in _WORDS.items()]
        console.print(table("Expected 预计", ["!what", "", ">persons"], rows))
        console.print(Text(f"cost {found.done.cost:,.2f}; nothing was sent"))
        print_verdicts(console, found.done.verdicts)


_WORDS = {
    "desired": "应有",
    "held": "目的地现有",
    "add": "新增",
    "change": "变更",
    "remove": "移出",
    "unchanged": "不变，跳过",
    "left": "已离开，按方式保留",
    "under_way": "发送中或待决定，跳过",
}


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    """The checks that failed, with what they found."""
    for verdict in verdicts:
        if not verdict.passed:
            detail = verdict.detail
            said = f"{verdict.check} failed: found {detail['observed']}, expected {detail['expected']}"
            console.print(Text(f"  {said} ({detail['rule']})", style="red"), soft_wrap=True)


def print_delivered(console: Console, setting: Setting, delivery: ResolvedDelivery, as_of: date) -> None:
    """What came of a delivery that was made: its published table, or why there is none."""
    ref = TableRef.parse(deliveries_name(delivery.code))
    snapshot, attempt = setting.warehouse.current(ref, as_of), setting.warehouse.blocked(ref, as_of)
    console.print(Text(f"{delivery.spec.title} → {delivery.destination.spec.title}, as-of {as_of}", style="bold"))
    if attempt is not None:
        console.print(Text(f"  {attempt.outcome}: {attempt.reason}", style="red"), soft_wrap=True)
    elif snapshot is not None:
        columns = ["!operation", "!state", ">messages", "reason"]
        rows = [
            [row["operation"], _state(row["state"]), count(row["messages"]), row["reason"]] for row in told(snapshot)
        ]
        console.print(table("Outcomes 结果", columns, rows))
        console.print(Text(f"cost {snapshot.metrics.get('cost', 0):,.2f}"))


def told(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The rows of a delivery's table."""
    found: list[dict[str, Any]] = snapshot.metrics["outcomes"]
    return found


def delivered_json(setting: Setting, delivery: ResolvedDelivery, as_of: date) -> dict[str, Any]:
    """``print_delivered`` for programs."""
    ref = TableRef.parse(deliveries_name(delivery.code))
    snapshot, attempt = setting.warehouse.current(ref, as_of), setting.warehouse.blocked(ref, as_of)
    found: dict[str, Any] = {"delivery": delivery.code, "as_of": as_of.isoformat()}
    if attempt is not None:
        return {**found, "outcome": attempt.outcome, "reason": attempt.reason}
    if snapshot is None:
        return {**found, "outcome": "not tried", "reason": "a table it reads was not published"}
    return {**found, "outcome": "published", "cost": snapshot.metrics.get("cost", 0), "messages": told(snapshot)}


def deciding(setting: Setting, by: Asking) -> AbstractContextManager[Visit]:
    """Lets through who may look into the ledger, and decide about messages of every destination."""
    return sending(setting, setting.resolved.destinations.values(), "the outbox", by)


def outbox_of(setting: Setting) -> Outbox:
    """The ledger. Mistake where nothing was ever planned."""
    file = ledger_file(setting.warehouse)
    if not file.exists():
        raise Mistake("the outbox is empty: nothing was ever planned here")
    return Outbox.open(file)


def print_outbox(console: Console, counts: Sequence[dict[str, Any]], waiting: Sequence[dict[str, Any]]) -> None:
    """How many messages there are in which state, and those that wait for a decision."""
    columns = ["!destination", "!origin", "!operation", "!state", ">messages", "reason"]
    rows = [
        [
            row["destination"],
            row["origin"],
            row["operation"],
            _state(row["state"]),
            count(row["messages"]),
            row["reason"],
        ]
        for row in counts
    ]
    console.print(table("Outbox 发件箱", columns, rows))
    if waiting:
        shown = [[row["key"], row["destination"], row["person_id"], row["sent_at"], row["reason"]] for row in waiting]
        columns = ["!key", "!destination", "!person", "sent at", "reason"]
        console.print(table("Unknown 待决定: nobody knows whether these were sent", columns, shown))
        console.print(Text("valtag outbox --requeue KEY sends one (again), --close KEY leaves it"))


def waiting_rows(outbox: Outbox, limit: int) -> list[dict[str, Any]]:
    """Messages that wait for a decision, the oldest first; whom they are about is masked."""
    rows = outbox.unknown().slice(0, limit).to_pylist()
    names = ("key", "destination", "origin", "operation", "person_id", "sent_at", "reason")
    return [{**{name: row[name] for name in names}, "person_id": mask_key(row["person_id"])} for row in rows]


def _state(word: str) -> Text:
    known = {"acknowledged": "ok", "sent": "ok", "unchanged": "unchanged", "rejected": "refused", "dead": "refused"}
    return Text(word, style=state(known.get(word, "stale")).style)


def run_delivery(setting: Setting, delivery: ResolvedDelivery, as_of: date, by: Asking) -> Exit:
    """Make the delivery as a run of its asset. Raises Mistake for what a run refuses to begin with."""
    from valtag_assets.console import running
    from valtag_assets.console.summary import summarize

    if is_past(setting, as_of):
        raise Mistake(f"{as_of} is past: there are newer data, and a past as-of is never sent")
    told_nobody = running.Progress(lambda _: None, lambda _: None)
    with sending(setting, [delivery.destination], deliveries_name(delivery.code), by):
        pass  # who sends is on record before anything is sent
    try:
        (ran,) = running.run(setting, [as_of], [deliveries_name(delivery.code)], told_nobody)
    except running.REFUSALS as error:
        raise Mistake(str(error)) from error
    return summarize(setting, ran).exit
