"""What a tag would cost before it is written: tiles that are missing, rows to read for them, seconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from valtag_assets.engine.incremental import layers, missing_tiles, parts_of
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.merging import merged_groups
from valtag_assets.warehouse.snapshot import Part
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
        for layer in layers(setting.derived, group):
            parts = parts_of(sample.clean[group.source.code]) if group.source.code in sample.clean else []
            missing = set(missing_tiles(setting.derived, layer, parts)) if parts else set()
            known = zip(parts, _parts(sample, group.source.code), strict=True)
            read = [file for part, file in known if part.label in missing]
            rows, size = sum(file.rows for file in read), sum(file.bytes for file in read)
            there, daily = len(parts) - len(missing), _daily(sample, group.source.code)
            cost = Cost(rows, size, len(missing), there, rows / sample.rate, daily)
            found.update({tag.code: cost for tag in layer.group.tags})
    return {column: found.get(column) or _all_rows(sample, resolved, column) for column in columns}


def _all_rows(sample: Sample, resolved: Resolved, column: str) -> Cost:
    """A tag that is computed from all rows of its source; one that rests on other tags reads none."""
    tag = resolved.tags[column]
    code = tag.master or (tag.aggregate.fact if tag.aggregate is not None else None)
    if code is None or code not in sample.clean:
        return Cost(0, 0, 0, 0, 0.0, 0)
    clean = sample.clean[code]
    return Cost(clean.rows, sum(part.bytes for part in clean.parts), 0, 0, clean.rows / sample.rate, clean.rows)


def _parts(sample: Sample, source: str) -> Sequence[Part]:
    return sample.clean[source].parts if source in sample.clean else ()


def _daily(sample: Sample, source: str) -> int:
    first, last = sample.spans.get(source, (sample.as_of, sample.as_of))
    return round(sample.clean[source].rows / ((last - first).days + 1)) if source in sample.clean else 0
