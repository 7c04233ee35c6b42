"""``valtag segment preview``: what a rule would find, before it is saved."""

import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import Visit, through, visible_persons
from valtag_assets.console.opened import opened_rows
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine import preview
from valtag_assets.engine.access import Need, person_need, rule_need, segment_need, served_need
from valtag_assets.engine.brands import brand_field, of_own_brands, of_visible
from valtag_assets.engine.duckdb import DuckDBEngine, data_type, open_duckdb, told
from valtag_assets.engine.persons import PERSON, PERSONS, persons_table
from valtag_assets.engine.reader import FEWEST_TOLD, Reader
from valtag_assets.engine.rules import rule_inputs
from valtag_assets.engine.session import EngineError, unbound
from valtag_assets.engine.vault import vaulted_tags
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolve_segment import refusals
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule import ResolvedRule, columns_read
from valtag_assets.expression.rule_text import read_rule, rule_data, spelt_out, write_rule
from valtag_assets.expression.scope import Scope
from valtag_assets.graph.gates import Gate, ask
from valtag_assets.graph.matches import all_memberships, wanted_by
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import refuse_as_of
from valtag_assets.spec.access import Asking
from valtag_assets.spec.masking import mask_key
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.segment import Rule
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

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


TokenOf = Callable[[str], str]


def rule_of(resolved: Resolved, text: str, token_of: TokenOf | None = None) -> tuple[Rule, ResolvedRule]:
    """The rule a command line says, checked as ``valtag check`` does; with ``token_of`` personal texts may be
    compared with written ones. Raises Mistake."""
    scope = resolved.rules
    if token_of is not None:
        scope = replace(scope, columns=Scope(scope.columns, scope.columns.what, token_of))
    faults: list[str] = []
    try:
        written = spelt_out(read_rule(text))
    except ValueError as error:
        raise Mistake(f"{text}: {error}") from error
    rule = resolve_rule(written, scope, lambda said, _: faults.append(said))
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


def preview_rule(setting: Setting, text: str, as_of: date | None, by: Asking) -> Preview:
    """Evaluate ``text`` over what is published for ``as_of``. Raises Mistake, also when an input is held
    or a run for that date would be refused (one that is not over has not all of its rows)."""
    with through(setting, "preview", by, "a rule") as visit:
        found = _preview(setting, text, as_of, visit)
        visit.rows = len(found.examples)
    return found


def _preview(setting: Setting, text: str, as_of: date | None, visit: Visit) -> Preview:
    resolved, reader = setting.resolved, visit.reader
    written, rule = rule_of(resolved, text, setting.tokens.of)
    need = rule_need(resolved, rule)
    reader.require_asked(need, "all that the rule reads")
    as_of = as_of or newest_as_of(setting)
    if refused := refuse_as_of(setting, as_of):
        raise Mistake(f"this rule can't be answered: {refused}")
    rules: list[ResolvedRule] = [rule, *(channel.reachable for channel in resolved.channels.values())]
    rules += resolved.exclusions
    gate = ask(setting.warehouse, wanted_by(setting, rule_inputs(resolved, rules), as_of))
    if not gate.open:
        raise Mistake("this rule can't be answered: " + "; ".join(gate.faults))
    started = time.monotonic()
    try:
        answers = _answers(setting, reader, rule, as_of, gate)
    except EngineError as error:
        raise Mistake(f"this rule can't be computed: {error}") from error
    size = answers.counted["size"]
    if not reader.tells(need, size, answers.population):
        few = f"it finds, or leaves out, fewer than {FEWEST_TOLD} persons"
        raise reader.denied(need, f"all that the rule reads, and {few}")
    needs = _needs(resolved, rule)
    visit.tags = sorted(needs.keys() - {PERSON})
    masked = sorted(name for name, need in needs.items() if not reader.may(need))
    return Preview(
        as_of=as_of,
        text=write_rule(written),
        yaml=rule_data(written),
        size=size,
        population=answers.population,
        reached=_reached(reader, answers.counted),
        overlaps=sorted(answers.overlaps, key=lambda item: (-item.both, item.segment)),
        examples=_examples(setting, reader, answers.examples, needs),
        masked=masked,
        milliseconds=round(1000 * (time.monotonic() - started)),
    )


@dataclass(frozen=True)
class _Answers:
    """The row of ``preview.counts``, those of ``preview.examples`` and of ``preview.overlaps``, and how many persons
    there are for the reader."""

    counted: dict[str, int]
    examples: list[dict[str, Any]]
    overlaps: list[Overlap]
    population: int


def _answers(setting: Setting, reader: Reader, rule: ResolvedRule, as_of: date, gate: Gate) -> _Answers:
    """EngineError where the engine has none."""
    resolved = setting.resolved
    inputs: dict[str, Sequence[Path]] = {name: snapshot.files for name, snapshot in gate.snapshots.items()}
    with told(), open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as space:
        folder, population = Path(space), gate.snapshots[PERSONS].rows
        visible = visible_persons(setting, reader, engine, folder)
        expression = preview.found_expression(resolved, rule, as_of)
        if visible:
            inputs |= {**visible, **_own_rows(reader, engine, gate.snapshots, folder)}
            expression = of_visible(expression)
            own = of_visible(persons_table())
            population = engine.fetch(own.aggregate(n=own.count()), inputs)["n"][0].as_py()
        file = folder / "found.parquet"
        engine.write(expression, inputs, file)
        found = {**inputs, preview.FOUND: [file]}
        counted = engine.fetch(preview.counts(resolved), found).to_pylist()[0]
        shown = engine.fetch(preview.examples(resolved, rule, EXAMPLES), found).to_pylist()
        saved = all_memberships(setting, engine, as_of)
        overlap = {**found, preview.MEMBERSHIPS: [saved]} if saved is not None else None
        expression = preview.overlaps(resolved, only_visible=bool(visible))
        rows = engine.fetch(expression, overlap).to_pylist() if overlap is not None else []
    known = [Overlap(**row) for row in rows]
    overlaps = [item for item in known if _tells_overlap(reader, item, counted["size"])]
    return _Answers(counted, shown, overlaps, population)


def _own_rows(
    reader: Reader, engine: DuckDBEngine, snapshots: Mapping[str, Snapshot], folder: Path
) -> dict[str, list[Path]]:
    """The facts among the inputs that say of which brand a row is, without the rows of other brands."""
    found = {}
    for name, snapshot in snapshots.items():
        stage, code = name.split("/")
        if stage in ("clean", "keyed") and brand_field(reader, code) is not None:
            table = unbound(name, {column: to_ibis_type(data_type(kind)) for column, kind in snapshot.columns})
            file = folder / f"{code}.own.parquet"
            engine.write(of_own_brands(reader, code, table), {name: snapshot.files}, file)
            found[name] = [file]
    return found


def _tells_overlap(reader: Reader, item: Overlap, size: int) -> bool:
    return reader.tells(segment_need(reader.resolved, item.segment), item.both, size)


def _reached(reader: Reader, counted: Mapping[str, int]) -> dict[str, int]:
    """How many each channel reaches, of those channels of which that may be told."""
    resolved = reader.resolved
    found = preview.reached(resolved, dict(counted))
    needs = {code: rule_need(resolved, channel.reachable) for code, channel in resolved.channels.items()}
    return {code: n for code, n in found.items() if reader.tells(needs[code], n, counted["size"])}


def _needs(resolved: Resolved, rule: ResolvedRule) -> dict[str, Need]:
    return {PERSON: person_need(resolved)} | {name: served_need(resolved, name) for name in columns_read(rule)}


def _examples(
    setting: Setting, reader: Reader, rows: Sequence[Mapping[str, Any]], needs: Mapping[str, Need]
) -> list[dict[str, Any]]:
    tokens = vaulted_tags(setting.resolved) & needs.keys()
    shown = [_seen(reader, row, needs, tokens) for row in rows]
    return opened_rows(setting, reader, shown, {name: needs[name] for name in tokens}) if tokens else shown


def _seen(
    reader: Reader, row: Mapping[str, Any], needs: Mapping[str, Need], tokens: Collection[str]
) -> dict[str, Any]:
    """An example as the reader may see it, tokens as they are. An id is never shown whole: an example is nobody."""
    shown = {}
    for name, value in row.items():
        if reader.may(needs[name]) or (name in tokens and reader.mask(name, needs[name]) != "drop"):
            shown[name] = mask_key(str(value)) if name == PERSON else value
        elif reader.mask(name, needs[name]) != "drop":
            shown[name] = reader.masked(name, needs[name], value)
    return shown


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
