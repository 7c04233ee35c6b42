"""The house of brands, run once."""

from pathlib import Path

import pytest

from valtag_tests.access.house import House, build
from valtag_tests.cli.conftest import valtag
from valtag_tests.kit import made_once

__all__ = ["valtag"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Not to be changed: take a copy (``house``)."""
    return House(made_once(tmp_path_factory, "house", build))


@pytest.fixture
def house(built: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house of one's own; nobody says in the environment who he is."""
    for name in ("VALTAG_USER", "VALTAG_PURPOSE"):
        monkeypatch.delenv(name, raising=False)
    return built.copy(tmp_path / "house")
