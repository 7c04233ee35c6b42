"""``valtag segment preview``: what a rule would find, before it is saved."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.screen import count, share, table
from valtag_assets.engine import preview
from valtag_assets.engine.access import column_levels, may_read, role_level
from valtag_assets.engine.duckdb import open_duckdb, told
from valtag_assets.engine.persons import PERSON, PERSONS
from valtag_assets.engine.rules import column_inputs, rule_inputs
from valtag_assets.engine.session import EngineError
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolve_segment import refusals
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import ResolvedRule, columns_read
from valtag_assets.expression.rule_text import read_rule, rule_data, spelt_out, write_rule
from valtag_assets.graph.gates import ask
from valtag_assets.graph.matches import all_memberships, wanted_by
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import refuse_as_of
from valtag_assets.spec.masking import MASK, mask_key
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.segment import Rule
from valtag_assets.warehouse.snapshot import TableRef

EXAMPLES = 5


@dataclass(frozen=True)
class Overlap:
    """How a found audience and a saved one share members."""

    segment: str
    members: int
    both: int


@dataclass(frozen=True)
class Preview:
    """What a rule finds at an as-of. ``milliseconds`` is the time in the engine."""

    as_of: date
    text: str
    yaml: Any
    size: int
    population: int
    reached: Mapping[str, int]
    overlaps: Sequence[Overlap]
    examples: Sequence[Mapping[str, Any]]
    masked: Sequence[str]
    milliseconds: int

    def to_json(self) -> dict[str, Any]:
        overlaps = [{"segment": o.segment, "members": o.members, "both": o.both} for o in self.overlaps]
        return {**vars(self), "share": self.size / self.population if self.population else 0.0, "overlaps": overlaps}


def rule_of(resolved: Resolved, text: str) -> tuple[Rule, ResolvedRule]:
    """The rule a command line says, checked as ``valtag check`` does. Raises Mistake."""
    faults: list[str] = []
    try:
        written = spelt_out(read_rule(text))
    except ValueError as error:
        raise Mistake(f"{text}: {error}") from error
    rule = resolve_rule(written, resolved.rules, lambda said, _: faults.append(said))
    if not faults:
        faults = refusals(rule, resolved.tags)
    if faults:
        raise Mistake("\n".join(faults))
    return written, rule


def newest_as_of(setting: Setting) -> date:
    """The newest as-of any tags were published for. Raises Mistake when nothing was."""
    tables = (TableRef("tags", code) for code in setting.resolved.categories)
    served = [snapshot.as_of for ref in tables if (snapshot := setting.warehouse.latest(ref)) is not None]
    days = [as_of for as_of in served if as_of is not None]
    if not days:
        raise Mistake(f"nothing is published in {setting.warehouse.root}: run valtag run first")
    return max(days)


def preview_rule(setting: Setting, text: str, as_of: date | None, role: str | None) -> Preview:
    """Evaluate ``text`` over what is published for ``as_of``. Raises Mistake, also when an input is held
    or a run for that date would be refused (one that is not over has not all of its rows)."""
    resolved = setting.resolved
    written, rule = rule_of(resolved, text)
    level = role_level(resolved, role)
    as_of = as_of or newest_as_of(setting)
    if refused := refuse_as_of(setting, as_of):
        raise Mistake(f"this rule can't be answered: {refused}")
    rules: list[ResolvedRule] = [rule, *(channel.reachable for channel in resolved.channels.values())]
    rules += resolved.exclusions
    gate = ask(setting.warehouse, wanted_by(setting, rule_inputs(resolved, rules), as_of))
    if not gate.open:
        raise Mistake("this rule can't be answered: " + "; ".join(gate.faults))
    inputs = {name: snapshot.files for name, snapshot in gate.snapshots.items()}
    started = time.monotonic()
    try:
        counted, shown, rows = _answers(setting, rule, as_of, inputs)
    except EngineError as error:
        raise Mistake(f"this rule can't be computed: {error}") from error
    levels = _levels(resolved, rule)
    masked = sorted(name for name, own in levels.items() if not may_read(level, own))
    return Preview(
        as_of=as_of,
        text=write_rule(written),
        yaml=rule_data(written),
        size=counted["size"],
        population=gate.snapshots[PERSONS].rows,
        reached=preview.reached(resolved, counted),
        overlaps=sorted((Overlap(**row) for row in rows), key=lambda item: (-item.both, item.segment)),
        examples=[{name: _seen(name, value, masked) for name, value in row.items()} for row in shown],
        masked=masked,
        milliseconds=round(1000 * (time.monotonic() - started)),
    )


def _answers(
    setting: Setting, rule: ResolvedRule, as_of: date, inputs: Mapping[str, Sequence[Path]]
) -> tuple[dict[str, int], list[dict[str, Any]], list[dict[str, Any]]]:
    """The row of ``counts``, those of ``examples`` and of ``overlaps``. EngineError where the engine has none."""
    resolved = setting.resolved
    with told(), open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        file = Path(folder) / "found.parquet"
        engine.write(preview.found_expression(resolved, rule, as_of), inputs, file)
        found = {**inputs, preview.FOUND: [file]}
        counted = engine.fetch(preview.counts(resolved), found).to_pylist()[0]
        shown = engine.fetch(preview.examples(resolved, rule, EXAMPLES), found).to_pylist()
        saved = all_memberships(setting, engine, as_of)
        overlap = {**found, preview.MEMBERSHIPS: [saved]} if saved is not None else None
        rows = engine.fetch(preview.overlaps(resolved), overlap).to_pylist() if overlap is not None else []
    return counted, shown, rows


def _levels(resolved: Resolved, rule: ResolvedRule) -> dict[str, Any]:
    found: dict[str, Any] = {PERSON: resolved.catalog.project.persons.access}
    for name, columns in column_inputs(resolved, columns_read(rule)).items():
        found |= column_levels(resolved, TableRef.parse(name), columns)
    return found


def _seen(name: str, value: Any, masked: Sequence[str]) -> Any:
    """A cell of an example. An id is never shown whole: an example is nobody in particular."""
    if name in masked:
        return MASK
    if name == PERSON:
        return mask_key(str(value))
    return value


def print_preview(console: Console, resolved: Resolved, found: Preview) -> None:
    """The figures, then a few members, overlaps and reachability."""
    part = found.size / found.population if found.population else None
    console.print(
        Text(f"{found.size:,} of {found.population:,} persons ({share(part)}) at {found.as_of}", style="bold")
    )
    console.print(Text(f"{found.text}   [{found.milliseconds} ms]", style="dim"))
    if resolved.exclusions:
        barred = ", ".join(member.code for member in resolved.exclusions)
        console.print(Text(f"without the members of {barred} (project.yaml: exclusions)", style="dim"))
    if found.reached:
        rows = [
            [
                code,
                str(resolved.channels[code].title),
                count(reached),
                share(reached / found.size if found.size else None),
            ]
            for code, reached in found.reached.items()
        ]
        console.print(table("reachable 可触达", ["!channel", "title", ">persons", ">share"], rows))
    common = [item for item in found.overlaps if item.both]
    if common:
        rows = [
            [
                item.segment,
                str(resolved.segments[item.segment].spec.title),
                count(item.members),
                count(item.both),
                share(item.both / found.size),
            ]
            for item in common
        ]
        columns = ["!segment", "title", ">members", ">in both", ">of these"]
        console.print(table("overlap with saved audiences 与已有人群重合", columns, rows))
    if found.examples:
        names = list(found.examples[0])
        console.print(
            table("for example 示例", [f"!{name}" for name in names], [list(row.values()) for row in found.examples])
        )
    if found.masked:
        console.print(Text(f"masked for this role: {', '.join(found.masked)}", style="yellow"))
