"""The asset graph of the mall is the one that was last looked at and kept."""

import json
from pathlib import Path

from valtag_tests.golden.graph_picture import PICTURE, as_text, mall_picture


def test_the_graph_is_the_one_that_was_kept(tmp_path: Path) -> None:
    kept = json.loads(PICTURE.read_text(encoding="utf-8"))
    found = mall_picture(tmp_path)
    how = "if this is meant: python -m valtag_tests.golden.graph_picture, and read the difference"
    assert set(kept["assets"]) == set(found["assets"]), how
    for key, asset in found["assets"].items():
        assert asset == kept["assets"][key], f"{key}: {how}"
    assert found == kept, how


def test_the_kept_file_is_written_as_the_command_writes_it() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert as_text(json.loads(text)) == text


def test_every_asset_reads_only_earlier_stages() -> None:
    assets = json.loads(PICTURE.read_text(encoding="utf-8"))["assets"]
    later = [
        (key, parent)
        for key, asset in assets.items()
        for parent in asset["deps"]
        if assets[parent]["group"] > asset["group"]
    ]
    assert later == []
