"""A shop of one's own for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from valtag_tests.graph.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with sound tables, not yet run."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(tmp_path, instance)
        made.write()
        yield made


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop after one run. Not to be changed: take a copy (``ran``)."""
    folder = tmp_path_factory.mktemp("ran")
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(folder, instance)
        made.write()
        assert set(made.run().values()) == {"published"}
    return folder


@pytest.fixture
def ran(run_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop that was run once, with a Dagster that knows nothing of it."""
    shutil.copytree(run_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance)
