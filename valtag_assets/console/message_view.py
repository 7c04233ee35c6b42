"""The story of a message as text."""

from rich.console import Console
from rich.text import Text

from valtag_assets.console.explain_view import print_explanation
from valtag_assets.console.history import local
from valtag_assets.console.message import MessageStory
from valtag_assets.console.screen import table
from valtag_assets.engine.trigger_state import SEEN
from valtag_assets.graph.setting import Setting


def print_story(console: Console, setting: Setting, found: MessageStory) -> None:
    """What became of it, why it was decided, what that rests on."""
    zone = setting.resolved.catalog.project.zone
    why = f": {found.reason}" if found.reason else ""
    console.print(Text(f"{found.step} of {found.trigger} to {found.person} by {found.destination}", style="bold"))
    console.print(Text(f"  {found.title['zh']} · {found.title['en']}; {found.state}{why}"))
    version = "the present definition" if found.is_present_version else "an earlier definition"
    console.print(Text(f"  version {found.version} ({version}), entry {found.entry}, arm {found.arm}"))
    console.print(Text(f"  as-of {found.as_of}, snapshot {found.snapshot}, run {found.run}", style="dim"))
    console.print(Text(f"  key {found.key}", style="dim"))
    for note in found.notes:
        console.print(Text(f"  {note}", style="yellow"), soft_wrap=True)
    console.print(table("", ["field", "sent as"], [[name, _cell(value)] for name, value in found.values.items()]))
    rows = [
        [Text(f"{'  ' * item.depth}{item.text}"), "holds" if item.holds else "fails", _seen(dict(item.seen))]
        for item in found.conditions
    ]
    console.print(table("", ["condition 条件", "result 结果", "seen 所见"], rows))
    decided = {name: value for name, value in found.decided.items() if value is not None}
    kept = {name.removeprefix(SEEN): value for name, value in decided.items() if name.startswith(SEEN)}
    names = ("since", "entered", "decision", "reason", "steps", "stepped", "exited", "event", "event_at")
    console.print(Text("decided: " + _seen({name: decided[name] for name in names if decided.get(name)})))
    console.print(Text(f"values on entering: {_seen(kept)}"))
    for event in found.events:
        console.print(Text(f"  {local(event.at, zone) if event.at is not None else ''}  {event.what}"))
    for tag in found.tags:
        console.print()
        print_explanation(console, setting, tag)


def _seen(values: dict[str, object]) -> str:
    return ", ".join(f"{name} = {_cell(value)}" for name, value in values.items())


def _cell(value: object) -> str:
    return "empty" if value is None else str(value)
