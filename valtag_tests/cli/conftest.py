"""The command, called in this process, on copies of the starter catalog."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from valtag_assets.cli import main


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Valtag = Callable[..., Said]


@pytest.fixture
def valtag(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Valtag:
    """Calls the command; nothing of the environment reaches it, and it leaves nothing there."""
    for name in ("DAGSTER_HOME", "VALTAG_CATALOG", "VALTAG_DATA", "VALTAG_LANDING", "COLUMNS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        # A command names its DAGSTER_HOME for the processes it starts; the next command is another process.
        os.environ.pop("DAGSTER_HOME", None)
        captured = capsys.readouterr()
        return Said(int(code), captured.out, captured.err)

    return call


@dataclass(frozen=True)
class Shop:
    """A copy of the starter catalog and its data folder."""

    catalog: Path
    data: Path

    @property
    def options(self) -> tuple[str, str, str, str]:
        return ("--catalog", str(self.catalog), "--data", str(self.data))

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.catalog / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def shop(valtag: Valtag, tmp_path: Path) -> Shop:
    """A fresh catalog that was never run."""
    assert valtag("init", "shop", "--into", tmp_path).code == 0
    return Shop(tmp_path / "shop", tmp_path / "data")


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, int]:
    """A starter catalog after one run, and the run's exit code. Not to be changed: take a copy (``ran``)."""
    folder = tmp_path_factory.mktemp("ran")
    shop = Shop(folder / "shop", folder / "data")
    before = os.environ.pop("DAGSTER_HOME", None)
    assert main(["init", "shop", "--into", str(folder)]) == 0
    code = main(["run", *shop.options])
    os.environ.pop("DAGSTER_HOME", None)
    if before is not None:
        os.environ["DAGSTER_HOME"] = before
    return shop, code


@pytest.fixture
def served(run_once: tuple[Shop, int]) -> Shop:
    """A catalog that was run, to look at."""
    return run_once[0]


@pytest.fixture
def ran(served: Shop, tmp_path: Path) -> Shop:
    """A catalog that was run, to change."""
    shutil.copytree(served.catalog.parent, tmp_path / "copy")
    return Shop(tmp_path / "copy" / "shop", tmp_path / "copy" / "data")
