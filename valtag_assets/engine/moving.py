"""Making one checkpoint: moved from a near one, or merged from all tiles, step by step through small files."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valtag_assets.engine import checkpoints as cp
from valtag_assets.engine.checkpoints import Move
from valtag_assets.engine.partials import Need
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tiles import Group, answer_id, tile_table
from valtag_assets.engine.windows import moved, span_of
from valtag_assets.warehouse.derived import ASIDE, Derived

if TYPE_CHECKING:
    from valtag_assets.engine.incremental import Part

STATE, ANSWERS = "state.parquet", "answers.parquet"


@dataclass
class Making:
    """One checkpoint in the making, from the ``tiles`` of all its ``parts`` (both by part name).

    ``before`` are the tiles that near checkpoints rest on and this one does not, by part name and digest.
    ``how`` and ``touched`` (keys that moved) tell afterwards what was done.
    """

    engine: Engine
    group: Group
    as_of: date
    tiles: Mapping[str, Path]
    parts: Mapping[str, "Part"]
    before: dict[tuple[str, str], Path] = field(default_factory=dict)
    how: str = ""
    touched: int | None = None

    def changed(self, entry: Derived) -> dict[str, str | None]:
        """The parts that differ from those the checkpoint ``entry`` rests on, with their digest there."""
        then: Mapping[str, str] = entry.about["parts"]
        now = {name: part.digest for name, part in self.parts.items()}
        return {name: then.get(name) for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)}

    def fill(self, into: Path, near: Sequence[Derived]) -> Mapping[str, Any]:
        """Write the checkpoint's files into the folder ``into``; what is in them."""
        with tempfile.TemporaryDirectory(dir=into.parent, prefix=ASIDE) as folder:
            work = Path(folder)
            start = min(near, key=self._distance, default=None)
            if start is None or self._is_far(start):
                self.how = f"merged from {len(self.tiles)} tiles"
                self._merge(self.group.needs, into / STATE)
                self._answer(into)
            else:
                self.how = f"moved from {start.about['as_of']}"
                self._move(start, into, work)
        answers = {tag.code: answer_id(tag) for tag in self.group.tags} if self.group.value is not None else {}
        return {
            "as_of": str(self.as_of),
            "needs": [need.column for need in self.group.needs],
            "answers": answers,
            "parts": {name: part.digest for name, part in self.parts.items()},
        }

    def _distance(self, entry: Derived) -> tuple[int, int, int, str]:
        """How much work it is to continue from there: columns that are missing, parts that differ, days between."""
        missing = {need.column for need in self.group.needs} - set(entry.about["needs"])
        days = abs((date.fromisoformat(entry.about["as_of"]) - self.as_of).days)
        return len(missing), len(self.changed(entry)), days, entry.name

    def _is_far(self, entry: Derived) -> bool:
        """Whether merging all tiles is less work: nothing in common, or most of the history is another."""
        known = set(entry.about["needs"]) & {need.column for need in self.group.needs}
        return not known or 2 * len(self.changed(entry)) > 2 + len(self.parts)

    def _merge(self, needs: Sequence[Need], into: Path) -> None:
        spans = [span_of(window, self.as_of) for window in cp.windows_of(needs)]
        files = [self.tiles[name] for name, part in self.parts.items() if part.within(spans)]
        files = files or self._empty(into.parent)
        self.engine.write(cp.merge_expression(self.group, needs, self.as_of), {cp.TILES: files}, into)

    def _answer(self, into: Path) -> None:
        if self.group.value is not None:
            found = cp.answers_expression(self.group, only=False)
            self.engine.write(found, {cp.STATE: [into / STATE]}, into / ANSWERS)

    def _move(self, start: Derived, into: Path, work: Path) -> None:
        """The checkpoint from ``start``; needs it lacks are merged from tiles."""
        there = set(start.about["needs"])
        known = tuple(need for need in self.group.needs if need.column in there)
        fresh = tuple(need for need in self.group.needs if need.column not in there)
        target = work / "known.parquet" if fresh else into / STATE
        delta = self._moved(start, known, target, work)
        if fresh:
            self._merge(fresh, work / "fresh.parquet")
            both = {cp.OLD: [target], cp.FRESH: [work / "fresh.parquet"]}
            self.engine.write(cp.widened(self.group, known, fresh), both, into / STATE)
        same = {tag.code: answer_id(tag) for tag in self.group.tags}.items() <= start.about["answers"].items()
        if self.group.value is None:
            return
        if fresh or not same:
            self._answer(into)
        elif delta is None:
            old = {cp.ANSWERS: [start.file(ANSWERS)]}
            self.engine.write(cp.answers_table(self.group, cp.ANSWERS), old, into / ANSWERS)
        else:
            again = work / "answers.parquet"
            state = {cp.STATE: [into / STATE], cp.DELTA: [delta]}
            self.engine.write(cp.answers_expression(self.group, only=True), state, again)
            files = {cp.ANSWERS: [start.file(ANSWERS)], cp.FRESH: [again], cp.DELTA: [delta]}
            self.engine.write(cp.updated_answers(self.group), files, into / ANSWERS)

    def _moved(self, start: Derived, known: tuple[Need, ...], into: Path, work: Path) -> Path | None:
        """The state of ``start`` for the needs it has, moved into the file ``into``; the delta, if there was one."""
        before, old = date.fromisoformat(start.about["as_of"]), {cp.OLD: [start.file(STATE)]}
        changed = self.changed(start)
        spans = moved(cp.windows_of(known), before, self.as_of)
        same = [self.tiles[n] for n, part in self.parts.items() if n not in changed and part.within(spans)]
        move = Move(self.group, known, before, self.as_of, bool(changed), bool(same))
        if not same and not changed:
            self.touched = 0
            self.engine.write(cp.state_table(self.group, known, cp.OLD), old, into)
            return None
        files = {cp.TILES: same} if same else {}
        if changed:
            was = [self.before[name, digest] for name, digest in changed.items() if digest is not None]
            now = [self.tiles[name] for name in changed if name in self.tiles]
            files |= {cp.WAS: was or self._empty(work), cp.IS: now or self._empty(work)}
        delta, carried, again = (work / f"{name}.parquet" for name in ("delta", "carried", "again"))
        self.engine.write(move.delta(), files, delta)
        counted = cp.delta_count(self.group)
        self.touched = self.engine.fetch(counted, {cp.DELTA: [delta]}).to_pylist()[0]["touched"]
        steps = {**old, cp.DELTA: [delta]}
        lost = []
        if move.extremes:
            self.engine.write(move.carried(), steps, carried)
            steps[cp.CARRIED] = [carried]
            lost = self._lost(move, carried)
        if lost:
            seen = [span_of(window, self.as_of) for window in lost]
            tiles = [self.tiles[name] for name, part in self.parts.items() if part.within(seen)]
            files = {cp.TILES: tiles or self._empty(work), cp.CARRIED: [carried]}
            self.engine.write(move.again(lost), files, again)
            steps[cp.AGAIN] = [again]
        self.engine.write(move.state(lost, bool(move.extremes)), steps, into)
        return delta

    def _lost(self, move: Move, carried: Path) -> list[Any]:
        """The windows from which somebody's extreme has gone."""
        (row,) = self.engine.fetch(move.losses(), {cp.CARRIED: [carried]}).to_pylist()
        return [window for window in cp.windows_of(move.extremes) if row[f"w{window.suffix}"]]

    def _empty(self, work: Path) -> list[Path]:
        """A tile file without rows: a statement needs a file for every table it names."""
        path = work / "empty.parquet"
        if not path.exists():
            some = [*self.tiles.values(), *self.before.values()][:1]
            table = tile_table(self.group, self.group.partials, cp.TILES)
            self.engine.write(table.limit(0), {cp.TILES: some}, path)
        return [path]
