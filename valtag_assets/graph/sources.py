"""Stage *sources*: the company's tables, observed. Their data version is the fingerprint of their content."""

import os
from pathlib import Path

import dagster as dg

from valtag_assets.engine.reading.origin import Origin, SourceError, locate
from valtag_assets.engine.reading.read import fingerprint
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.metadata import describe
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key

GROUP = "1_sources"
# The folder new files land in; a path may name it, and the environment may move it.
LANDING = "VALTAG_LANDING"


def source_name(source: str) -> str:
    """The asset key text of a source."""
    return f"sources/{source}"


def landing_folder(setting: Setting) -> Path:
    """Where new files land."""
    return Path(os.environ.get(LANDING, setting.data / "landing"))


def origin_of(setting: Setting, source: ResolvedSource) -> Origin:
    """The source's ``read`` block with its files found. Raises SourceError when nothing is there."""
    environment = {**os.environ, LANDING: str(landing_folder(setting))}
    return locate(source.spec.read, setting.resolved.catalog.root, environment)


def file_state(setting: Setting, source: ResolvedSource) -> list[str]:
    """Name, size and time of each file: cheap enough to ask every half minute."""
    try:
        paths = origin_of(setting, source).paths
    except SourceError as error:
        return [f"missing: {error}"]
    return [f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in map(Path, paths)]


def source_assets(setting: Setting) -> list[dg.SourceAsset]:
    """One observable source asset per source of the catalog."""
    return [_source_asset(setting, source) for source in setting.resolved.sources.values()]


def _source_asset(setting: Setting, source: ResolvedSource) -> dg.SourceAsset:
    spec = source.spec

    @dg.observable_source_asset(
        key=asset_key(source_name(source.code)),
        group_name=GROUP,
        description=describe(spec.title, spec.meaning, f"`{spec.read.path or spec.read.table}`"),
        metadata={"format": spec.read.actual_format, "family": spec.family, "kind": spec.kind},
        tags={"family": spec.family, "kind": spec.kind},
    )
    def observe() -> dg.ObserveResult:
        try:
            content = fingerprint(origin_of(setting, source), setting.fingerprints)
        except SourceError as error:
            # Cleaning refuses such a source with this message; the observation only shows it.
            return dg.ObserveResult(data_version=dg.DataVersion("unreadable"), metadata={"fault 故障": str(error)})
        return dg.ObserveResult(data_version=dg.DataVersion(content))

    return observe
