"""The bench of the service measures a service: everybody it asks for is there."""

import pandas as pd
import pytest

from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.graph.setting import Setting
from valtag_assets.serving.building import build_store
from valtag_assets.serving.published import published
from valtag_tests.bench.serving import SEGMENTS, TAGS, inside, publish, write_catalog


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("bench")
    made = Setting(resolve_catalog(write_catalog(folder / "catalog")), folder / "data")
    publish(made, persons=50)
    return made


def test_everybody_has_every_tag_and_is_answered(setting: Setting) -> None:
    now = published(setting.warehouse, setting.resolved)
    assert (len(now.layout.columns), len(now.layout.segments), now.missing) == (TAGS, SEGMENTS, ())
    made = build_store(setting.derived, setting.resolved, now, setting.spill)
    assert made.about["persons"] == 50
    assert inside(setting, made, [f"/persons/P{n:08d}" for n in range(50)])["p50"] >= 0


def test_made_tags_differ_from_one_another(setting: Setting) -> None:
    (tags,) = (
        item.snapshot for item in published(setting.warehouse, setting.resolved).taken if not item.part.segment
    )
    frame = pd.concat(map(pd.read_parquet, tags.files))
    numbers = frame[[f"tag_{n}" for n in range(1, TAGS, 7)]]
    assert all(numbers.iloc[:, 0].tolist() != numbers.iloc[:, other].tolist() for other in range(1, numbers.shape[1]))
