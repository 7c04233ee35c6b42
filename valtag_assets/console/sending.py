"""``valtag trigger send``: one round of planning and sending, outside Dagster."""

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import sending
from valtag_assets.console.screen import count, table
from valtag_assets.graph.messages import Done, send_due
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking

RUN = "valtag trigger send"


def send_now(setting: Setting, by: Asking) -> Done:
    """Plan, take in receipts, send. Who sends is on record before anything is sent."""
    to = {action.to for trigger in setting.resolved.triggers.values() for action in trigger.spec.actions}
    with sending(setting, [setting.resolved.destinations[code] for code in sorted(to)], "the messages due", by):
        pass
    return send_due(setting, RUN)


def print_sent(console: Console, done: Done, faults: list[str]) -> None:
    """How all messages stand, then what somebody must see to."""
    console.print(
        Text(f"{count(sum(done.planned.values()))} new messages, {count(done.receipts.receipts)} new receipts")
    )
    columns = ["destination", "origin", "state", "reason", "messages"]
    rows = [[row[name] for name in columns[:-1]] + [count(row["messages"])] for row in done.counts]
    console.print(table("", [*columns[:-1], "!messages"], rows))
    for fault in faults:
        console.print(Text(fault, style="red"), soft_wrap=True)
