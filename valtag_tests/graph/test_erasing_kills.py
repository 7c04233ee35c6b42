"""An erasure that is killed anywhere is gone on with, and ends as one that was not."""

import multiprocessing
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.graph.erasing import Orderer, carry_out, order_erasure
from valtag_assets.warehouse.journal import begun
from valtag_tests.graph.marked import PERSON, others_rows, shop_in, telling

BY = Orderer("ann")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["valtag_assets.graph.erasing", "valtag_tests.graph.marked"])
STEPS = frozenset({"os.rename", "os.remove", "os.link", "os.mkdir", "shutil.rmtree", "sqlite3.connect"})
MANY = 290
"""About as many steps as erasing one person of the shop takes."""


def killed_at(step: int, folder: Path) -> None:
    """Begin or go on with the erasure, and be killed right before the ``step``-th change of the disk."""
    seen = 0

    def watch(event: str, _: object) -> None:
        nonlocal seen
        if event in STEPS:
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    with dg.DagsterInstance.ephemeral() as instance:
        setting = shop_in(folder, instance).setting
        order = begun(setting.warehouse.root) or order_erasure(setting, [PERSON], BY)
        sys.addaudithook(watch)
        carry_out(setting, order)


def kill(step: int, folder: Path) -> int | None:
    child = PROCESSES.Process(target=killed_at, args=(step, folder))
    child.start()
    child.join()
    return child.exitcode


def end_of(folder: Path) -> tuple[dict[str, list[str]], list[Path]]:
    """Everybody else's rows, and the files that still tell her, after going on to the end."""
    with dg.DagsterInstance.ephemeral() as instance:
        setting = shop_in(folder, instance).setting
        order = begun(setting.warehouse.root) or order_erasure(setting, [PERSON], BY)
        done = carry_out(setting, order)
        assert done.complete, (done.scanned.hits, done.withdrawn)
        (setting.warehouse.root / "erased/open.json").unlink()
        left = telling(folder / "data")
        return others_rows(setting.warehouse.root, [PERSON]), left


def test_killed_three_times_in_a_row_it_still_ends_well(marked_once: Path, tmp_path: Path) -> None:
    shutil.copytree(marked_once, tmp_path, dirs_exist_ok=True)
    before = others_rows(tmp_path / "data/warehouse/shop", [PERSON])
    chance = random.Random(7)
    for low in (5, 70, 140):
        assert kill(chance.randint(low, low + 20), tmp_path) == -signal.SIGKILL
    after, left = end_of(tmp_path)
    assert left == []
    assert {name: rows for name, rows in after.items() if rows} == {n: rows for n, rows in before.items() if rows}


@pytest.mark.long
def test_killed_at_any_step_it_ends_well(marked_once: Path, tmp_path: Path) -> None:
    before = others_rows(marked_once / "data/warehouse/shop", [PERSON])
    chance = random.Random(11)
    for attempt in range(int(os.environ.get("VALTAG_KILLS", "10"))):
        folder = tmp_path / str(attempt)
        shutil.copytree(marked_once, folder)
        kill(chance.randint(1, MANY), folder)
        after, left = end_of(folder)
        assert left == []
        assert {n: rows for n, rows in after.items() if rows} == {n: rows for n, rows in before.items() if rows}
        shutil.rmtree(folder)
