"""From clean facts to the checkpoint of an as-of with as little work as possible: tiles of the months that
changed, then the nearest checkpoint moved, or all tiles merged where there is none near.

The result is the same by every way: a checkpoint is a pure function of the clean parts and the as-of.
"""

import functools
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from valtag_assets.engine import checkpoints as cp
from valtag_assets.engine.moving import ANSWERS, STATE, Making
from valtag_assets.engine.persons import keyed_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tiles import Group, Layer, answer_id, layers_of, tile_expression, tile_table
from valtag_assets.engine.windows import Span, span_of
from valtag_assets.warehouse.derived import Derived, DerivedFiles
from valtag_assets.warehouse.snapshot import Snapshot

TILES, CHECKPOINTS = "tiles", "checkpoints"
COLUMNS, TILE = "columns", "tile.parquet"
# What the files hold: code that changes it takes the next number.
RECIPE = 1
# Beyond so many days most persons have moved anyway, and merging all tiles is as cheap.
FAR = 45
KEPT = 4
_MONTH = re.compile(r"part-(\d{4})-(\d{2})\.parquet")


@dataclass(frozen=True)
class Part:
    """One part of a clean fact: its file and digest, and the dates its rows may have (None: any)."""

    name: str
    file: Path
    digest: str

    @property
    def label(self) -> str:
        return self.name.removeprefix("part-").removesuffix(".parquet")

    @property
    def span(self) -> tuple[date, date] | None:
        found = _MONTH.fullmatch(self.name)
        if not found:
            return None
        first = date(int(found[1]), int(found[2]), 1)
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    def within(self, spans: Iterable[Span]) -> bool:
        """Whether a row of the part may lie in one of the spans."""
        span = self.span
        return span is None or any(item.touches(*span) for item in spans)


@dataclass
class Told:
    """What was done for one layer: for the asset's page, and for whoever asks why it took so long."""

    fact: str
    tags: tuple[str, ...]
    how: str = ""
    tiles_made: list[str] = field(default_factory=list)
    touched: int | None = None

    def to_json(self) -> dict[str, Any]:
        made = {"how": self.how, "tiles_made": self.tiles_made, "touched": self.touched}
        return {"fact": self.fact, "tags": list(self.tags), **made}


def layers(files: DerivedFiles, group: Group) -> list[Layer]:
    """The layers the group's tags are merged from, given the tiles there are."""
    return layers_of(group, (ids for _, ids in _known(files, group)))


def missing_tiles(files: DerivedFiles, layer: Layer, parts: Sequence[Part]) -> list[str]:
    """The parts whose rows must be read to make tiles for the layer, by label."""
    return [
        part.label
        for part in parts
        if files.find(TILES, layer.name, _tile_name(part)) is None and _wider(files, layer, part) is None
    ]


def _wider(files: DerivedFiles, layer: Layer, part: Part) -> Path | None:
    """Tiles of the same rows with more partials: left by a catalog that had other tags."""
    for name, ids in _known(files, layer.group):
        if layer.ids < ids:
            tile = files.find(TILES, name, _tile_name(part))
            if tile is not None:
                return tile.file(TILE)
    return None


def _known(files: DerivedFiles, group: Group) -> Iterator[tuple[str, frozenset[str]]]:
    """The folders of tiles of the group, with the partials they hold."""
    for name in files.names(TILES):
        entry = files.find(TILES, name, COLUMNS) if name.startswith(f"{group.name}.") else None
        if entry is not None and entry.about["recipe"] == RECIPE:
            yield name, frozenset(entry.about["ids"])


@dataclass
class Incremental:
    """The tiles and checkpoints of one catalog's facts, brought up to date as they are asked for."""

    engine: Engine
    files: DerivedFiles
    told: list[Told] = field(default_factory=list)

    def checkpoint(self, layer: Layer, parts: Sequence[Part], as_of: date) -> Derived:
        """The layer's checkpoint at ``as_of`` of the fact whose clean ``parts`` these are."""
        seen = [span_of(window, as_of) for window in cp.windows_of(layer.group.needs)]
        # Without any the files' columns would be unknown; rows outside the windows count for nothing.
        parts = [part for part in parts if part.within(seen)] or list(parts[:1])
        told = Told(layer.group.source.code, tuple(tag.code for tag in layer.group.tags))
        self.told.append(told)
        name = f"{as_of}-{_digest(layer, parts, as_of)}"
        found = self.files.find(CHECKPOINTS, layer.name, name)
        if found is not None:
            told.how = "kept"
            return found
        tiles = self._tiles(layer, parts, told)
        making = Making(self.engine, layer.group, as_of, tiles, {part.name: part for part in parts})
        near = [entry for entry in self.files.entries(CHECKPOINTS, layer.name) if self._usable(making, layer, entry)]
        made = self.files.make(CHECKPOINTS, layer.name, name, fill=lambda into: making.fill(into, near))
        told.how, told.touched = making.how, making.touched
        self._forget(layer, as_of, made)
        return made

    def _tiles(self, layer: Layer, parts: Sequence[Part], told: Told) -> dict[str, Path]:
        """The tile file of each part, made where it is missing; by part name."""
        about = {"ids": sorted(layer.ids), "recipe": RECIPE}
        self.files.make(TILES, layer.name, COLUMNS, fill=lambda _: about)
        found = {}
        for part in parts:
            fill = functools.partial(self._tile, layer, part, told)
            found[part.name] = self.files.make(TILES, layer.name, _tile_name(part), fill=fill).file(TILE)
        return found

    def _tile(self, layer: Layer, part: Part, told: Told, into: Path) -> Mapping[str, Any]:
        wider = _wider(self.files, layer, part)
        if wider is not None:
            self.engine.write(tile_table(layer.group, layer.partials, cp.TILES), {cp.TILES: [wider]}, into / TILE)
        else:
            told.tiles_made.append(part.label)
            clean = {keyed_name(layer.group.source): [part.file]}
            self.engine.write(tile_expression(layer.group, layer.partials), clean, into / TILE)
        return {"part": part.name, "digest": part.digest}

    def _usable(self, making: Making, layer: Layer, entry: Derived) -> bool:
        """Whether the checkpoint can be moved: near enough, and the tiles it rests on are still there."""
        if abs((date.fromisoformat(entry.about["as_of"]) - making.as_of).days) > FAR:
            return False
        for name, digest in making.changed(entry).items():
            if digest is not None:
                tile = self.files.find(TILES, layer.name, _tile_name(Part(name, Path(), digest)))
                if tile is None:
                    return False
                making.before[name, digest] = tile.file(TILE)
        return True

    def _forget(self, layer: Layer, as_of: date, made: Derived) -> None:
        """Keep the newest checkpoints and those nearest to the one just made: later ones continue from them."""
        names = self.files.names(CHECKPOINTS, layer.name)
        near = sorted(names, key=lambda name: (abs((date.fromisoformat(name[:10]) - as_of).days), name))[:KEPT]
        # One as-of may have many, of other rows each: the one just made is about to be read.
        for name in set(names) - set(near) - set(names[-KEPT:]) - {made.name}:
            self.files.remove(CHECKPOINTS, layer.name, name)


def parts_of(snapshot: Snapshot) -> list[Part]:
    """The parts of a published fact."""
    return [Part(part.name, file, part.digest) for part, file in zip(snapshot.parts, snapshot.files, strict=True)]


def forget(files: DerivedFiles, group: Group) -> None:
    """Remove all tiles and checkpoints of a group."""
    for stage in (TILES, CHECKPOINTS):
        for name in files.names(stage):
            if name.startswith(f"{group.name}."):
                files.remove(stage, name)


def unneeded(files: DerivedFiles, used: Collection[str], digests: Collection[str]) -> Iterator[tuple[str, ...]]:
    """The names of tiles and checkpoints nobody will read again.

    Those are the ones of layers that are not ``used``, and those made from parts that no clean snapshot has any
    more (``digests`` are the ones there are).
    """
    for stage in (TILES, CHECKPOINTS):
        for layer in files.names(stage):
            if layer not in used:
                yield stage, layer
                continue
            for entry in files.entries(stage, layer):
                made_from = entry.about["parts"].values() if stage == CHECKPOINTS else [entry.about.get("digest")]
                if entry.name != COLUMNS and not set(made_from) <= set(digests):
                    yield stage, layer, entry.name


def file_of(layer: Layer, checkpoint: Derived) -> Path:
    """What a category reads of a layer's checkpoint: one row per person."""
    return checkpoint.file(STATE if layer.group.value is None else ANSWERS)


def _tile_name(part: Part) -> str:
    return f"{part.label}-{hashlib.sha256(part.digest.encode()).hexdigest()[:16]}"


def _digest(layer: Layer, parts: Sequence[Part], as_of: date) -> str:
    """Equal for checkpoints of equal content."""
    group = layer.group
    answers = sorted((tag.code, answer_id(tag)) for tag in group.tags) if group.value is not None else []
    needs = [need.column for need in group.needs]
    text = json.dumps([RECIPE, str(as_of), needs, answers, sorted((part.name, part.digest) for part in parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
