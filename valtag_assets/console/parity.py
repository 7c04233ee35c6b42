"""``valtag parity``: the whole catalog on both engines, in a folder of its own, and every cell compared."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import through
from valtag_assets.console.progress import table_lines
from valtag_assets.console.running import REFUSALS, Progress, run
from valtag_assets.console.screen import count, table
from valtag_assets.engine.access import QUARANTINE
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.refused import hides_refused
from valtag_assets.graph.home import VARIABLE
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.comparison import Comparison, compare
from valtag_assets.warehouse.own_key import own_key
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.tokens import KEY_FILE, VAULT

ENGINES = ("duckdb", "spark")


@dataclass(frozen=True)
class TableParity:
    """One table on both engines. ``missing``: why it was published on one of them only, or on neither."""

    table: str
    found: Comparison | None
    missing: str | None = None

    @property
    def equal(self) -> bool:
        return self.found is not None and self.found.equal

    def to_json(self) -> dict[str, Any]:
        found = asdict(self.found) if self.found else {}
        return {"table": self.table, "equal": self.equal, "missing": self.missing, **found}


def watched_parity(setting: Setting, as_of: date | None, console: Console) -> list[TableParity]:
    """``compute_both`` with a line on ``console`` for each table. Raises Mistake for an as-of that can't be."""
    with ExitStack() as stack:
        visit = stack.enter_context(through(setting, "show", Asking(), "differences between engines"))
        visit.reader.require_every_brand("parity")

        def watched(engine: str) -> Progress:
            console.print(engine)
            lines = stack.enter_context(table_lines(console, setting.resolved))
            return Progress(lines.planned, lines.done)

        try:
            return compute_both(setting, as_of, watched, visit.reader)
        except REFUSALS as error:
            raise Mistake(str(error)) from error


def compute_both(
    setting: Setting, as_of: date | None, planned: Callable[[str], Progress], reader: Reader
) -> list[TableParity]:
    """Run the catalog on both engines and compare what they published, quarantine included.

    Nothing of it stays, and the catalog's own warehouse is not looked at. ``planned`` gives the listener of
    each engine's run. Raises what a run refuses to begin with.
    """
    with tempfile.TemporaryDirectory(dir=setting.spill, prefix="parity-") as name, _home(Path(name) / "runs"):
        reasons: dict[str, str] = {}
        sides = sides_of(setting, Path(name))
        for engine, side in zip(ENGINES, sides, strict=True):
            (ran,) = run(side, [as_of] if as_of else [], (), planned(engine))
            as_of = ran.as_of
            reasons |= {done.table: f"{engine}: {done.reason}" for done in ran.done if done.reason}
            reasons |= {broken: f"{engine}: {trace.splitlines()[-1]}" for broken, trace in ran.faults.items()}
        tables = {ref.key: ref for side in sides for ref in side.warehouse.tables()}
        return [_compared(reader, sides, ref, as_of, reasons) for _, ref in sorted(tables.items())]


def sides_of(setting: Setting, folder: Path) -> list[Setting]:
    """The catalog on each of ``ENGINES``, with warehouses of their own in ``folder``, and one key: what stands for a
    personal text is the same of both."""
    key = own_key(folder / KEY_FILE)
    sides = [replace(setting, engine=setting.engines.instead(engine), apart=folder / engine) for engine in ENGINES]
    for side in sides:
        file = side.warehouse.root / KEY_FILE
        file.parent.mkdir(parents=True)
        file.touch(mode=0o600)
        file.write_text(key, encoding="ascii")
    return sides


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """DAGSTER_HOME in ``folder`` for a while: runs made to compare are nobody's history."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


def _compared(
    reader: Reader, sides: list[Setting], ref: TableRef, as_of: date | None, reasons: dict[str, str]
) -> TableParity:
    one, other = (_served(side, ref, as_of) for side in sides)
    if one is None or other is None:
        return TableParity(ref.key, None, reasons.get(ref.key, "published on one engine only"))
    return TableParity(ref.key, _masked(reader, ref, compare(one, other), one))


def _served(side: Setting, ref: TableRef, as_of: date | None) -> Snapshot | None:
    return side.warehouse.current(ref, as_of) or side.warehouse.current(ref)


def _masked(reader: Reader, ref: TableRef, found: Comparison, snapshot: Snapshot) -> Comparison:
    """The sample without what the reader may not read."""
    hidden = set(reader.hidden(ref, [name for name, _ in snapshot.columns]))
    source = reader.resolved.sources.get(ref.name)
    if ref.stage == QUARANTINE and (source is None or hides_refused(reader, source)):
        hidden |= {"value", "record"}
    if ref.stage == VAULT:
        hidden.add("value")
    sample = [replace(item, one=MASK, other=MASK) if item.column in hidden else item for item in found.sample]
    return replace(found, sample=sample)


def print_parity(console: Console, tables: list[TableParity]) -> None:
    """A line for each table, then the first differences of each."""
    lines = [[item.table, *_numbers(item), Text(*_verdict(item))] for item in tables]
    columns = ["!table", ">rows", ">cells", ">differences", "!verdict"]
    console.print(table(f"Parity 引擎一致性: {' and '.join(ENGINES)}", columns, lines))
    for line in _samples(tables):
        console.print(Text(line), soft_wrap=True)


def _numbers(item: TableParity) -> list[str]:
    if item.found is None:
        return ["", "", ""]
    rows = sorted(set(item.found.rows))
    return [" / ".join(map(count, rows)), count(item.found.cells), count(item.found.differ)]


def _verdict(item: TableParity) -> tuple[str, str]:
    if item.found is None:
        return "not on both", "red"
    return ("equal", "green") if item.equal else (item.found.unlike or "different", "red")


def _samples(tables: list[TableParity]) -> Iterator[str]:
    for item in tables:
        if item.missing:
            yield f"{item.table}: {item.missing}"
        for cell in item.found.sample if item.found else ():
            values = zip(ENGINES, (cell.one, cell.other), strict=True)
            told = ", ".join(f"{engine} {value!r}" for engine, value in values)
            yield f"{item.table}, row {cell.row}, {cell.column}: {told}"
