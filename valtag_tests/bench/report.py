"""The figures as Markdown: ratios first."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def to_markdown(figures: Mapping[str, Any]) -> str:
    machine = figures["machine"]
    lines = [
        f"# valtag bench, {figures['size']}",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; Python {machine['python']}; "
        f"load when it began {machine['load']}. CPU seconds are user and system, of the process and its children.",
    ]
    for part, write in _PARTS.items():
        if part in figures:
            lines += ["", *write(figures[part])]
    return "\n".join([*lines, ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    text = [[_cell(cell) for cell in row] for row in rows]
    bar = ["---" if number == 0 else "---:" for number in range(len(head))]
    return [f"| {' | '.join(row)} |" for row in (head, bar, *text)]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")


def _build(found: Mapping[str, Any]) -> list[str]:
    head = ("contender", "× the limit", "× valtag", "CPU s", "start CPU s", "wall s", "peak MB")
    rows = []
    for row in found["contenders"]:
        if "refused" in row:
            rows.append((row["contender"], f"refused: {row['refused']}", *[""] * 5))
            continue
        ratios = (row["times the limit"] or "", row["times valtag"] or "")
        rows.append((row["contender"], *ratios, row["build"], row["start"]["cpu"], row["wall"], row["peak_mb"]))
    cleaning = found["clean tables"]
    size = f"{found['persons']:,} persons, {found['order lines']:,} order lines, {found['events']:,} events"
    return [
        f"## Full build of {found['tags']} tags: {size}",
        "",
        "All contenders' cells are equal. CPU s is without the start, which is taken at a tiny company.",
        "",
        *_table(head, rows),
        "",
        f"Writing the clean tables, checked and published: {cleaning['cpu']:,.1f} CPU s, {cleaning['peak_mb']:,} MB.",
    ]


def _graph(found: Mapping[str, Any]) -> list[str]:
    names = list(dict.fromkeys(part for group in found["parts"].values() for part in group))
    rows = [(name, *[group.get(name, 0.0) for group in found["parts"].values()]) for name in names]
    share = found["share that is not computing tags"]
    return [
        "## Whole graph, with gates and publishing",
        "",
        f"Of what follows the clean tables, {share:.0%} is not the computing of tags. In all "
        f"{found['cpu']:,.1f} CPU s ({found['start']:,.1f} of them the start), {found['peak_mb']:,} MB.",
        "",
        *_table(("CPU s", "clean tables", "persons, tags, scores"), rows),
        "",
        *_table(("table", "CPU s", "rows"), [(row["table"], row["cpu"], row["rows"]) for row in found["tables"]]),
    ]


def _day(found: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for row in found:
        for name in ("everything", "one more day", "that day from nothing"):
            ran = row[name]
            whole = sum(ran["stages"].values())
            part = whole / sum(row["one more day"]["stages"].values())
            stages = [ran["stages"].get(stage, 0.0) for stage in _STAGES]
            rows.append((f"{row['days']} days: {name}", round(part, 1), whole, *stages, ran["start"], ran["peak_mb"]))
    head = ("history", "× one more day", "CPU s", *_STAGES, "start", "peak MB")
    first = found[0]
    return [
        f"## One more day: {first['persons']:,} persons, {first['rows a day']:,} rows a day",
        "",
        "CPU seconds, without the start of the process; a run of the whole graph each time.",
        "",
        *_table(head, rows),
    ]


_STAGES = ("clean", "identity", "tags", "scores", "end")


def _growth(found: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [(f"{row['persons']:,}", row["rows"], row["tags"], row["cpu"], row["peak_mb"]) for row in found]
    return [
        "## Growth of the full build (start included)",
        "",
        *_table(("persons", "rows", "tags", "CPU s", "peak MB"), rows),
    ]


def _catalogs(found: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [(f"{row['tags']:,}", row["cpu"], row["peak_mb"]) for row in found]
    return ["## valtag check", "", *_table(("tag definitions", "CPU s", "peak MB"), rows)]


_PARTS = {"build": _build, "graph": _graph, "day": _day, "growth": _growth, "catalogs": _catalogs}
