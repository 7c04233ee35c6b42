"""The summary of a run, printed."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from valtag_assets.console.exits import Exit
from valtag_assets.console.screen import count, share, state, table
from valtag_assets.console.summary import NOT_TRIED, Summary

_TOP_RULES = 3
_SHOWN = 12


def print_summary(console: Console, summary: Summary, catalog: str | None) -> None:
    """Print it; ``catalog`` is how the user named the catalog, None for the default."""
    for part in _parts(summary):
        console.print(part)
    console.print(_verdict(summary))
    for line in _next_steps(summary, catalog):
        console.print(Text(line))


def print_day(console: Console, summary: Summary) -> None:
    """One as-of of a longer run, in one line, and below it what was stopped."""
    word = "unchanged" if not summary.changed else "published" if summary.exit == Exit.DONE else "stopped"
    line = Text(f"{summary.as_of}  ").append_text(state(word))
    line.append(f"  {summary.published} published, {len(summary.stopped)} stopped, {len(summary.held)} tags held")
    console.print(line)
    for item in summary.stopped[:_SHOWN]:
        console.print(Text(f"  {item.table}: {item.outcome}: {item.reason.partition(chr(10))[0]}"), soft_wrap=True)


def _parts(summary: Summary) -> Iterator[RenderableType]:
    title = f"\n{summary.title.zh} · {summary.title.en} ({summary.catalog}), as-of {summary.as_of}"
    yield Text(title, style="bold")
    if not summary.changed:
        yield Text("nothing changed: every table is served as this run would make it\n", style="green")
    if summary.sources:
        yield _sources(summary)
    if summary.categories:
        yield _categories(summary)
    for score in summary.scores:
        if score.tiers:
            rows = [
                [tier.code, tier.title.zh, tier.title.en, count(tier.persons), share(tier.share),
                 share(tier.revenue_share)]
                for tier in score.tiers
            ]  # fmt: skip
            columns = ["!tier", "zh", "en", ">persons", ">share", f">{score.money} share"]
            yield table(f"{score.title.zh} · {score.title.en}", columns, rows)
    if summary.segments:
        yield _segments(summary)
    if summary.reports:
        yield _reports(summary)
    if summary.triggers:
        yield _triggers(summary)
    if summary.deliveries:
        yield _deliveries(summary)
    yield from _checks(summary)
    if summary.seconds:
        spent = "  ".join(f"{stage} {seconds:.1f}" for stage, seconds in summary.seconds.items())
        yield Text(f"seconds: {spent}", style="dim")


def _sources(summary: Summary) -> RenderableType:
    rows = []
    for source in summary.sources:
        top = [f"{rule} {rows:,}" for rule, rows in source.rules[:_TOP_RULES]]
        more = ["…"] if len(source.rules) > _TOP_RULES else []
        numbers = (source.rows_in, source.clean, source.quarantined, source.merged, source.filtered)
        counts = [count(number) for number in numbers]
        rows.append([source.code, source.title.zh, *counts, ", ".join(top + more), state(source.state)])
    columns = ["!source", "zh", ">rows in", ">clean", ">quarantined", ">merged", ">filtered", "top rules", "state"]
    return table("Sources 数据源", columns, rows)


def _categories(summary: Summary) -> RenderableType:
    rows = [
        [c.code, c.title.zh, count(c.tags), count(c.persons), share(c.coverage),
         f"{c.lowest} {share(c.lowest_coverage)}" if c.lowest else "", state(c.state)]
        for c in summary.categories
    ]  # fmt: skip
    columns = ["!category", "zh", ">tags", ">persons", ">mean coverage", "lowest coverage", "state"]
    return table("Tags 标签", columns, rows)


def _segments(summary: Summary) -> RenderableType:
    rows = [
        [s.code, s.title.zh, s.title.en, count(s.size), share(s.share), count(s.entries), count(s.exits),
         state(s.state)]
        for s in summary.segments
    ]  # fmt: skip
    columns = ["!segment", "zh", "en", ">size", ">share", ">entries", ">exits", "state"]
    return table("Segments 人群", columns, rows)


def _reports(summary: Summary) -> RenderableType:
    rows = [
        [r.code, r.title.zh, r.title.en, count(r.lines), "" if r.compared is None else f"{r.agree} / {r.compared}",
         state(r.state)]
        for r in summary.reports
    ]  # fmt: skip
    return table("Reports 报表", ["!report", "zh", "en", ">lines", ">reconciled", "state"], rows)


def _triggers(summary: Summary) -> RenderableType:
    decided = [", ".join(f"{name} {count(n)}" for name, n in t.decided.items()) for t in summary.triggers]
    rows = [
        [t.code, t.title.zh, t.title.en, words, state(t.state)]
        for t, words in zip(summary.triggers, decided, strict=True)
    ]
    return table("Triggers 触发器", ["!trigger", "zh", "en", "decided 决定", "state"], rows)


def _deliveries(summary: Summary) -> RenderableType:
    rows = [
        [d.code, d.title.zh, d.destination,
         *map(count, (d.desired, d.add, d.change, d.remove, d.refused, d.open)), state(d.state)]
        for d in summary.deliveries
    ]  # fmt: skip
    numbers = [">members", ">add", ">change", ">remove", ">refused", ">open"]
    return table("Deliveries 推送", ["!delivery", "zh", "!to", *numbers, "state"], rows)


def _checks(summary: Summary) -> Iterator[RenderableType]:
    checks = summary.checks
    yield Text(f"checks: {checks.passed:,} passed, {checks.warned:,} warned, {checks.held:,} held something")
    for line in summary.warnings[:_SHOWN]:
        yield Text(f"  warned  {line}", style="yellow")
    for tag in summary.held:
        yield Text(f"  held  {tag.table}.{tag.tag}: {tag.reason}", style="red")
    for item in summary.stopped:
        if item.outcome != NOT_TRIED:
            yield Text(f"  {item.outcome}  {item.table}: {item.reason} (served: {item.served})", style="red")
    waiting = [item.table for item in summary.stopped if item.outcome == NOT_TRIED]
    if waiting:
        yield Text(f"  not tried, since a table they read was not published: {', '.join(waiting)}", style="yellow")


def _verdict(summary: Summary) -> Text:
    words = {
        Exit.DONE: ("done", "green"),
        Exit.HELD: ("done, with something held: the last good snapshots stay served", "yellow"),
        Exit.WRONG: ("a source could not be read: put it in its place and run again", "red"),
        Exit.FAULT: ("ended with an internal fault", "red"),
    }
    text, style = words.get(summary.exit, ("", ""))
    return Text(f"\n{text}", style=f"bold {style}")


def _next_steps(summary: Summary, catalog: str | None) -> Iterator[str]:
    command, option = _command(), f" --catalog {catalog}" if catalog else ""
    steps = [(f"{command} ui{option}", "the graph, its checks and plots")]
    published = [c.code for c in summary.categories if c.state != NOT_TRIED]
    if published:
        steps.append((f"{command} show tags/{published[0]}{option}", "rows of a published table"))
        steps.append((f"{command} report{option}", "one HTML page about all of it, to read offline"))
    steps.append((f"{command} tags{option}", "the tag tree; with a text, only tags that hold it"))
    refused = [source.code for source in summary.sources if source.quarantined]
    if refused:
        steps.append((f"{command} show quarantine/{refused[0]}{option}", "refused rows, with rule and reason"))
    if summary.exit is not Exit.DONE:
        steps.append((f"{command} status{option}", "the health of every table"))
    width = max(len(step) for step, _ in steps)
    yield "\nnext:"
    yield from (f"  {step:<{width}}  {what}" for step, what in steps)
    yield "  add a tag: one block in a file of the catalog's tags/, then run again"


def _command() -> str:
    """The command as it can be typed here: by name where that finds it, else by its path."""
    called = Path(sys.argv[0])
    found = shutil.which("valtag")
    if called.name != "valtag" or (found is not None and Path(found).resolve() == called.resolve()):
        return "valtag"
    near = os.path.relpath(called)
    return near if not near.startswith("..") else str(called)
