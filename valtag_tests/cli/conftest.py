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
from valtag_tests.kit import made_once


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


def _run(folder: Path) -> None:
    """Run the starter catalog as it is."""
    before = os.environ.pop("DAGSTER_HOME", None)
    assert main(["init", "shop", "--into", str(folder)]) == 0
    assert main(["run", *_shop_in(folder).options]) == 0
    os.environ.pop("DAGSTER_HOME", None)
    if before is not None:
        os.environ["DAGSTER_HOME"] = before


def _shop_in(folder: Path) -> Shop:
    return Shop(folder / "shop", folder / "data")


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a starter catalog after one run."""
    return made_once(tmp_path_factory, "starter-ran", _run)


@pytest.fixture(scope="session")
def served(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A catalog that was run, to look at: a command locks what it looks at against those of other workers."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(run_once, folder, dirs_exist_ok=True)
    return _shop_in(folder)


@pytest.fixture
def ran(run_once: Path, tmp_path: Path) -> Shop:
    """A catalog that was run, to change."""
    shutil.copytree(run_once, tmp_path / "copy")
    return _shop_in(tmp_path / "copy")
