"""A warehouse's own key is one, however many make it at once, and for its owner only."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from valtag_assets.warehouse.own_key import own_key


def test_of_many_who_make_it_at_once_all_have_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_links(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", without_links)
    file, together = tmp_path / "new" / "some.key", Barrier(8)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".some.key.new").write_text("of somebody who was killed", encoding="ascii")

    def make(_: int) -> str:
        together.wait()
        return own_key(file)

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(make, range(8)))
    assert keys == {file.read_text(encoding="ascii")} and len(keys.pop()) == 32
    assert file.stat().st_mode & 0o077 == 0
