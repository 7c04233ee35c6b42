"""A shop of one's own for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from valtag_assets.graph.jobs import TRIGGERS
from valtag_tests.graph.caring import TRIGGERED, with_files
from valtag_tests.graph.marked import marked_customers, marked_orders, plant_in_home, shop_in, told_receipts
from valtag_tests.graph.shop import Shop
from valtag_tests.kit import made_once


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

    def run(folder: Path) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            made = Shop(folder, instance)
            made.write()
            assert set(made.run().values()) == {"published"}

    return made_once(tmp_path_factory, "shop-ran", run)


@pytest.fixture
def ran(run_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop that was run once, with a Dagster that knows nothing of it."""
    shutil.copytree(run_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path, instance)


@pytest.fixture
def caring(ran: Shop) -> Shop:
    """A shop that was run once, to whose catalog triggers are added; it is the morning after."""
    return with_files(ran, TRIGGERED)


@pytest.fixture(scope="session")
def cared_once(run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a shop after its triggers ran and their messages were sent. Not to be changed."""

    def care(folder: Path) -> None:
        shutil.copytree(run_once, folder, dirs_exist_ok=True)
        with dg.DagsterInstance.ephemeral() as instance:
            assert with_files(Shop(folder, instance), TRIGGERED).run(job=TRIGGERS)["triggers/care"] == "published"

    return made_once(tmp_path_factory, "shop-cared", care)


@pytest.fixture
def cared(cared_once: Path, tmp_path: Path) -> Iterator[Shop]:
    """A shop of one's own whose triggers ran."""
    shutil.copytree(cared_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield with_files(Shop(tmp_path, instance), TRIGGERED)


@pytest.fixture(scope="session")
def marked_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a marked shop after it ran and sent, and what Dagster kept of that. Not to be changed."""

    def mark(folder: Path) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            made = shop_in(folder, instance)
            made.write(marked_customers(), marked_orders())
            told_receipts(made)
            made.run()
            made.run(job=TRIGGERS)
            events = [str(event) for run in instance.get_runs() for event in instance.all_logs(run.run_id)]
        (folder / "events.txt").write_text("\n".join(events), encoding="utf-8")
        plant_in_home(folder / "data/dagster_home/shop")

    return made_once(tmp_path_factory, "shop-marked", mark)


@pytest.fixture
def marked(marked_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    shutil.copytree(marked_once, tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield shop_in(tmp_path, instance)
