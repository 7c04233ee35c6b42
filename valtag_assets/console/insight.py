"""How useful tags are, and what triggers brought, for the terminal: as it was published."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import counting
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine.usefulness import MERGE, RETIRE, reasons
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.uses import Thing, dependence, tag_uses
from valtag_assets.graph.effects import INTERVALS, interval_text, judged_triggers, said_of
from valtag_assets.graph.insight import INSIGHT, contribution_text, title_of, trend
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.insight import Insight
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

_COLORS = {"keep": "green", "improve": "yellow", "merge": "yellow", "retire": "red"}


def served(setting: Setting, ref: TableRef, as_of: date | None) -> Snapshot:
    """What is served of the table, for that as-of or the newest. Mistake where nothing is."""
    found = setting.warehouse.current(ref, as_of) if as_of is not None else setting.warehouse.latest(ref)
    if found is None:
        when = f" for {as_of}" if as_of is not None else ""
        raise Mistake(
            f"{ref} is not published{when}: valtag run{f' --as-of {as_of}' if as_of else ''}, then ask again"
        )
    return found


def usefulness_of(setting: Setting, tag: str | None, as_of: date | None, by: Asking) -> dict[str, Any]:
    """The newest table as JSON; of one ``tag`` alone also everything that reads it. Mistake for an unknown one."""
    with counting(setting, "report", INSIGHT.key, by):
        snapshot = served(setting, INSIGHT, as_of)
    insight = setting.resolved.catalog.project.insight
    lines = [{**line, "trend": trend(line), "reasons": _reasons(insight, line)} for line in snapshot.metrics["lines"]]
    found = {"as_of": str(snapshot.as_of), "weights": snapshot.metrics["weights"], "tags": lines}
    if tag is None:
        shares = {kind: {"on_tags": on, "all": every} for kind, (on, every) in dependence(setting.resolved).items()}
        return {**found, "automated": shares}
    known = [line["tag"] for line in lines]
    if tag not in known:
        raise Mistake(f"'{tag}' is no tag of the table of {snapshot.as_of}{did_you_mean(tag, known)}")
    uses = tag_uses(setting.resolved).get(tag)
    read = {} if uses is None else {"direct": _named(uses.direct), "indirect": _named(uses.indirect)}
    return {**found, "tags": [line for line in lines if line["tag"] == tag], "read_by": read}


def to_give_up(setting: Setting, as_of: date | None, by: Asking) -> list[dict[str, Any]]:
    """The retire and merge list: every tag that is to be given up, why, and what reads it and has to change first."""
    uses = tag_uses(setting.resolved)
    return [
        {**line, "read_by": _named(uses[line["tag"]].direct) if line["tag"] in uses else []}
        for line in usefulness_of(setting, None, as_of, by)["tags"]
        if line["advice"] in (MERGE, RETIRE)
    ]


def print_to_give_up(console: Console, setting: Setting, lines: Sequence[Mapping[str, Any]]) -> None:
    """A line per tag to be retired or merged."""
    rows = [
        [line["tag"], title_of(setting.resolved, line["tag"]).zh, Text(line["advice"], style=_COLORS[line["advice"]]),
         f"{line['score']:.2f}", share(line["coverage"]), count(line.get("distinct")),
         "; ".join(f"{reason['zh']} · {reason['en']}" for reason in line["reasons"]), line["read_by"]]
        for line in lines
    ]  # fmt: skip
    columns = ["!tag", "!title", "!advice", ">score", ">coverage", ">values", "why", "first change"]
    console.print(table("下线与合并 · To retire or merge", columns, rows))
    console.print(Text(f"{len(lines)} of {len(setting.resolved.tags)} tags", style="dim"))


def _reasons(insight: Insight, line: Mapping[str, Any]) -> list[dict[str, str]]:
    return [reason.model_dump() for reason in reasons(insight, {"distinct": None, **line})]


def dependence_text(resolved: Resolved) -> str:
    """How much of what works by itself depends on tags: segments 4 of 4, triggers 1 of 1, …"""
    found = {kind: numbers for kind, numbers in dependence(resolved).items() if numbers[1]}
    on, every = sum(on for on, _ in found.values()), sum(every for _, every in found.values())
    parts = ", ".join(f"{kind} {own} of {there}" for kind, (own, there) in found.items())
    return f"{on / every:.0%} of {every} ({parts})" if every else "nothing is automated"


def print_usefulness(console: Console, setting: Setting, found: Mapping[str, Any]) -> None:
    """A line per tag, the most useful first; of one tag everything."""
    weights = ", ".join(f"{name} {weight:g}" for name, weight in found["weights"].items())
    columns = ["!tag", "!title", ">score", ">trend", "!advice", ">uses", ">sending", ">messages", ">coverage",
               "!contribution", "says the same"]  # fmt: skip
    rows = [_line(setting, line) for line in found["tags"]]
    console.print(table(f"标签价值评分 · Usefulness of tags, as-of {found['as_of']}", columns, rows))
    if "read_by" in found:
        (line,) = found["tags"]
        for how, things in found["read_by"].items():
            console.print(f"{how}: {', '.join(things) or 'nothing'}", markup=False)
        seconds = "" if line["seconds"] is None else f", {line['seconds']:.3g} s a run"
        passed = f"{share(line['quality'])} of its checks passed, " if line["quality"] is not None else ""
        console.print(f"{passed}data {line['age_days'] or 0} d old{seconds}", markup=False)
    else:
        console.print(f"依赖标签的自动化 · automated on tags: {dependence_text(setting.resolved)}", markup=False)
    console.print(Text(f"weights: {weights}; what can't be told is left out of the mean", style="dim"))


def _line(setting: Setting, line: Mapping[str, Any]) -> list[object]:
    changed, evidence = line["trend"], f"{line['evidence']} {contribution_text(line)}".strip()
    return [
        line["tag"], title_of(setting.resolved, line["tag"]).zh, f"{line['score']:.2f}",
        "" if changed is None else f"{changed:+.2f}", Text(line["advice"], style=_COLORS[line["advice"]]),
        f"{line['direct']}+{line['indirect']}", line["automations"], count(line["messages"]), share(line["coverage"]),
        evidence, line["twin"],
    ]  # fmt: skip


def _named(things: Sequence[Thing]) -> list[str]:
    return [f"{kind} {code}" for kind, code in things]


def effects_of(setting: Setting, code: str | None, as_of: date | None, by: Asking) -> list[dict[str, Any]]:
    """The table of effects of one trigger, or of all judged ones that have any, as JSON. Mistake for another."""
    with counting(setting, "report", "effects" if code is None else f"effects/{code}", by):
        return _effects(setting, code, as_of)


def _effects(setting: Setting, code: str | None, as_of: date | None) -> list[dict[str, Any]]:
    judged = [trigger.code for trigger in judged_triggers(setting)]
    if code is not None and code not in judged:
        said = "has no effect: in its file" if code in setting.resolved.triggers else "is no trigger"
        raise Mistake(f"'{code}' {said}{did_you_mean(code, judged)}")
    if not judged:
        raise Mistake("no trigger says what it is judged by: effect: in its file, or in project.yaml")
    return [_effect(setting, name, as_of) for name in (judged if code is None else [code])]


def _effect(setting: Setting, name: str, as_of: date | None) -> dict[str, Any]:
    snapshot = served(setting, TableRef("effects", name), as_of)
    title = setting.resolved.triggers[name].spec.title
    lines = snapshot.metrics["lines"]
    return {"trigger": name, "title": str(title), "as_of": str(snapshot.as_of), "lines": lines}


def print_effects(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    """What each trigger sent and what came back by period and step, and what the arms came to."""
    for effect in found:
        told = ["period", "step", "channel", ">planned", ">sent", ">delivered", ">opened", ">clicked", ">converted",
                ">unsubscribed", ">bounced", ">cost"]  # fmt: skip
        heading = f"{effect['title']} ({effect['trigger']}), as-of {effect['as_of']}"
        console.print(table(heading, told, [[line[name.lstrip(">")] for name in told] for line in effect["lines"]]))
        own = [line for line in effect["lines"] if line["step"] == "all"]
        arms = ["period", ">entered", ">not_over", ">treated", ">control", ">treated_conversions",
                ">control_conversions"]  # fmt: skip
        console.print(table("", arms, [[line[name.lstrip(">")] for name in arms] for line in own]))
        intervals = {name: [interval_text(line, name) for line in own] for name in INTERVALS}
        rows = [[name, *texts] for name, texts in intervals.items() if any(texts)]
        if rows:
            console.print(table("", ["!95%", *(f"!{line['period']}" for line in own)], rows))
        console.print(said_of(own[0]), markup=False)
