"""One person's identifiers as a tree, and all persons in numbers, for the terminal."""

from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from valtag_assets.console.identity import Graph, Key, Report
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine.identity.figures import MOST
from valtag_assets.graph.setting import Setting


def print_graph(console: Console, setting: Setting, found: Graph) -> None:
    """Kinds, the strongest first, their keys, and what each stands beside."""
    identity = setting.resolved.identity
    assert identity is not None
    by = f"，按 {found.asked} 找到 found by {found.asked}" if found.asked else ""
    former = f"，原编号 formerly {found.was}" if found.was else ""
    tree = Tree(Text(f"{found.person}{by}{former}", style="bold"))
    for kind in identity.kinds:
        keys = [key for key in found.keys if key.kind == kind.code]
        if keys:
            branch = tree.add(Text(f"{kind.title.zh} {kind.title.en} ({kind.code}): {len(keys)}"))
            for key in keys:
                leaf = branch.add(Text(_said(key)))
                for link in found.links:
                    if link.hub == key.name:
                        leaf.add(Text(f"— {link.other}: {count(link.rows)} rows of {link.source}"))
    console.print(tree)
    rows = [
        [
            item.source,
            f"{item.title['zh']} {item.title['en']}",
            count(item.rows),
            _day(item.first_seen),
            _day(item.last_seen),
        ]
        for item in found.sources
    ]
    console.print(table("来源 · Rows", ["!source", "title", ">rows", "first", "last"], rows))


def _said(key: Key) -> str:
    span = ""
    if key.since or key.until:
        span = f", {_day(key.since) or '…'} – {_day(key.until) or '…'}"
    seen = f", {_day(key.first_seen)} – {_day(key.last_seen)}" if key.first_seen else ""
    return f"{key.name}: {key.key}{span} ({count(key.rows)} rows of {key.sources}{seen})"


def _day(moment: datetime | None) -> str:
    return "" if moment is None else str(moment.date())


def print_report(console: Console, setting: Setting, found: Report) -> None:
    """Sizes, match rates, refused identifiers, merges and splits."""
    identity = setting.resolved.identity
    assert identity is not None
    console.print(
        Text(f"{count(found.persons)} 人 persons; 最多 at most {found.largest} 个标识 identifiers", style="bold")
    )
    sizes = [[f"≥ {size}" if size >= MOST else size, count(persons)] for size, persons in found.sizes]
    console.print(table("每人标识数 · Identifiers of a person", [">identifiers", ">persons"], sizes))
    reasons = sorted(found.refused)
    kinds = [
        [kind.code, str(kind.title), count(found.kinds.get(kind.code, 0))]
        + [count(found.refused[reason].get(kind.code, 0)) for reason in reasons]
        for kind in identity.kinds
    ]
    console.print(
        table("标识 · Identifiers", ["!kind", "title", ">used", *(f">{reason}" for reason in reasons)], kinds)
    )
    matched = [
        [
            item.source,
            f"{item.title['zh']} {item.title['en']}",
            count(item.rows),
            share(item.rate),
            count(item.merged),
        ]
        for item in found.matched
    ]
    console.print(
        table("归属率 · Rows that found their person", ["!source", "title", ">rows", ">matched", ">merged"], matched)
    )
    if found.channels:
        channels = [
            [
                item.channel if item.channel is not None else "—",
                count(item.rows),
                share(item.identified_share),
                share(item.known_share),
                count(item.persons),
            ]
            for item in found.channels
        ]
        header = ["!channel", ">rows", ">identified", ">known persons'", ">persons"]
        console.print(table("渠道归属率 · Rows of each channel", header, channels))
    if found.suggestions is not None:
        console.print(f"疑似同一人 may be one: {count(found.suggestions)} pairs; valtag identity suggestions")
    events = [
        [event, count(number), count(found.last_events.get(event, 0))] for event, number in found.events.items()
    ]
    title = f"合并与拆分 · Changes of persons, the last being number {found.change}"
    console.print(table(title, ["!event", ">all", ">last"], events))


def write_picture(setting: Setting, found: Graph, into: Path) -> None:
    """The graph as an SVG or PNG file, by the name's ending. Raises Mistake for another one."""
    from valtag_assets.graph.identity_figures import graph_figure, save

    identity = setting.resolved.identity
    assert identity is not None
    nodes = {key.name: (identity.ranks[key.kind], f"{key.name}\n{key.key}") for key in found.keys}
    edges = [(link.hub, link.other, link.rows) for link in found.links]
    save(graph_figure(found.person, nodes, edges), into)
