"""What a tag would cost before it is written: tiles that are missing, rows to read for them, seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from valtag_assets.engine.checkpoints import windows_of
from valtag_assets.engine.incremental import layers, missing_tiles, parts_of
from valtag_assets.engine.tiles import Layer
from valtag_assets.engine.windows import span_of
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.merging import merged_groups
from valtag_assets.wizard.sample import Sample


@dataclass(frozen=True)
class Cost:
    """What computing the tag would read: rows and bytes of clean tables once, tiles that are there already, and the
    seconds that takes at the rate just measured. ``daily``: rows of one more day, about."""

    rows: int
    bytes: int
    tiles_made: int
    tiles_there: int
    seconds: float
    daily: int


def costs(sample: Sample, resolved: Resolved, columns: Sequence[str]) -> dict[str, Cost]:
    """Of each column of ``resolved``, the catalog with the proposals in it, what it would cost."""
    setting = replace(sample.setting, resolved=resolved)
    found = {}
    for group in merged_groups(setting):
        if group.source.code in sample.clean:
            for layer in layers(setting.derived, group):
                cost = _of_layer(sample, layer)
                found.update({tag.code: cost for tag in layer.group.tags})
    return {column: found.get(column) or _all_rows(sample, resolved, column) for column in columns}


def _of_layer(sample: Sample, layer: Layer) -> Cost:
    """Tags that share tiles: the months in their windows for which there are none yet."""
    clean = sample.clean[layer.group.source.code]
    seen = [span_of(window, sample.as_of) for window in windows_of(layer.group.needs)]
    parts = [part for part in parts_of(clean) if part.within(seen)]
    missing = set(missing_tiles(sample.setting.derived, layer, parts))
    names = {part.name for part in parts if part.label in missing}
    read = [part for part in clean.parts if part.name in names]
    rows, size = sum(part.rows for part in read), sum(part.bytes for part in read)
    daily = _daily(sample, layer.group.source.code)
    return Cost(rows, size, len(missing), len(parts) - len(missing), rows / sample.rate, daily)


def _all_rows(sample: Sample, resolved: Resolved, column: str) -> Cost:
    """A tag that is computed from all rows of its source; one that rests on other tags reads none."""
    tag = resolved.tags[column]
    code = tag.master or (tag.aggregate.fact if tag.aggregate is not None else None)
    if code is None or code not in sample.clean:
        return Cost(0, 0, 0, 0, 0.0, 0)
    clean = sample.clean[code]
    return Cost(clean.rows, sum(part.bytes for part in clean.parts), 0, 0, clean.rows / sample.rate, clean.rows)


def _daily(sample: Sample, source: str) -> int:
    first, last = sample.spans.get(source, (sample.as_of, sample.as_of))
    return round(sample.clean[source].rows / ((last - first).days + 1)) if source in sample.clean else 0
