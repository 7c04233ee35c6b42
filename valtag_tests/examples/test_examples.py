"""Catalogs a first-time user wrote stay good catalogs."""

from pathlib import Path

import pytest

from valtag_assets.graph.catalog import checked_catalog

FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/project.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_an_example_catalog_has_no_mistake(folder: Path) -> None:
    resolved = checked_catalog(folder)
    assert len(resolved.categories) >= 4
    assert resolved.scores
    assert len(resolved.segments) >= 4
