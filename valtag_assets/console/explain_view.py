"""An explanation as text: the value first, then what it rests on, one level further in for every tag below."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from valtag_assets.console.explanation import Clean, Explanation, Place, Row
from valtag_assets.console.history import local
from valtag_assets.console.screen import count, table
from valtag_assets.engine.persons import keyed_name
from valtag_assets.graph.setting import Setting

_STEP = 4


def print_explanation(console: Console, setting: Setting, found: Explanation, depth: int = 0) -> None:
    """``found`` and everything below it."""
    inset = depth * _STEP
    for line in _heading(setting, found):
        console.print(Padding(line, (0, 0, 0, inset), expand=False))
    for words in found.how:
        console.print(Padding(Text(f"how: {words}"), (0, 0, 0, inset + 2), expand=False))
    if found.clean is not None:
        _print_clean(console, setting, found.clean, inset + 2, origins=depth == 0)
    console.print(Padding(_proof(found), (0, 0, 0, inset + 2), expand=False))
    for tag in found.tags:
        print_explanation(console, setting, tag, depth + 1)


def _heading(setting: Setting, found: Explanation) -> Iterator[Text]:
    unit = f" {found.unit}" if found.unit else ""
    named = f" ({found.value_title})" if found.value_title else ""
    held = " HELD" if found.held else ""
    title = f"{found.title['zh']} · {found.title['en']}"
    yield Text(f"{found.code} = {_cell(found.value)}{unit}{named}", style="bold").append(held, style="red")
    yield Text(f"  {title}; {found.kind}, {found.type}; defined at {found.defined_at}")
    yield Text(f"  {found.definition}")
    known = local(found.known_at, setting.resolved.catalog.project.zone)
    yield Text(f"  {found.table} as-of {found.as_of}, snapshot {found.snapshot}, known at {known}", style="dim")
    yield Text(f"  run {found.run}", style="dim")
    failed = [check for check in found.checks if not check.passed]
    passed = len(found.checks) - len(failed)
    yield Text(f"  checks: {passed} of {len(found.checks)} hold", style="dim")
    for check in failed:
        stops = {"tag": "the tag is held", "table": "the table is stopped", "nothing": "warns"}[check.holds]
        yield Text(f"  {stops}: {check.why}", style="yellow" if check.holds == "nothing" else "red")
    for note in found.notes:
        yield Text(f"  {note}", style="yellow")


def _print_clean(console: Console, setting: Setting, clean: Clean, inset: int, *, origins: bool) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(Padding(Text(text, style=style), (0, 0, 0, inset), expand=False))

    span = "" if clean.last is None else f", local dates {clean.first or 'from the start'} to {clean.last}"
    table_read = keyed_name(setting.resolved.sources[clean.source])
    say(f"rows: {count(clean.counted)} of {table_read} (snapshot {clean.snapshot}) count{span}")
    if clean.rows:
        console.print(Padding(table("", *_lines(clean)), (0, 0, 0, inset), expand=False))
    if len(clean.rows) < clean.counted:
        say(f"{len(clean.rows)} of {count(clean.counted)} rows shown, the newest; --limit shows more", "dim")
    for name, origin in clean.origins.items() if origins else ():
        say(f"{name}: {origin}", "dim")
    if clean.ranking:
        columns = ["value", *(f">{name}" for name in clean.measures)]
        console.print(Padding(table("", columns, clean.ranking), (0, 0, 0, inset), expand=False))
        if len(clean.ranking) < clean.values:
            say(f"{len(clean.ranking)} of {count(clean.values)} values shown", "dim")
    if clean.left_out:
        reasons = ", ".join(f"{number} {why}" for why, number in clean.left_out.items())
        say(f"of the person's other rows do not count: {reasons}")
    if clean.refused is not None and clean.refused.rows:
        say(f"in quarantine/{clean.source}: {clean.refused.rows} rows that carry this key as written", "yellow")
        for rule, number in clean.refused.by_rule.items():
            say(f"  {number} × {rule}", "yellow")
        say(f"  {'; '.join(map(_place, clean.refused.places))}", "yellow")
    elif clean.refused is not None:
        say(f"in quarantine/{clean.source}: no row that carries this key as written", "dim")


def _lines(clean: Clean) -> tuple[list[str], list[list[Any]]]:
    valued = any(row.value is not None for row in clean.rows)
    stands = any(row.place.merged for row in clean.rows)
    fields = list(clean.rows[0].fields)
    columns = ["source row", *(f"!{name}" for name in fields), *(["!value"] if valued else [])]
    columns += ["stands also for"] if stands else []
    decided = any(row.decides for row in clean.rows)
    columns += [""] if decided else []
    return columns, [_line(row, fields, valued=valued, stands=stands, decided=decided) for row in clean.rows]


def _line(row: Row, fields: list[str], *, valued: bool, stands: bool, decided: bool) -> list[Any]:
    cells: list[Any] = [_place(row.place), *(row.fields[name] for name in fields)]
    cells += [row.value] if valued else []
    cells += ["; ".join(f"{file}:{number}" for file, number in row.place.merged)] if stands else []
    return cells + ([Text("decides", style="green") if row.decides else ""] if decided else [])


def _place(place: Place) -> str:
    return f"{place.file}:{place.row}"


def _proof(found: Explanation) -> Text:
    proof = found.proof
    if proof.equal is None:
        return Text(f"proof: none, {proof.why}", style="yellow")
    if proof.equal:
        what = "these rows alone" if found.clean is not None else "these tags alone"
        return Text(f"proof: {what} give {_cell(proof.again)}: equal", style="green")
    return Text(f"proof: NOT EQUAL: this gives {_cell(proof.again)}, served is {_cell(found.value)}", style="red")


def _cell(value: Any) -> str:
    if value is None:
        return "(no value)"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_json(found: Explanation) -> Mapping[str, Any]:
    """The explanation as one JSON object, ``proven`` in front."""
    return {"proven": found.proven, **found.to_json()}
