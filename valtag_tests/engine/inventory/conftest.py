from pathlib import Path

import pytest

from valtag_assets.engine.inventory.profile import Inventory
from valtag_tests.engine.inventory.stock import inventory_of, write_stock


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company's folder. Not to be changed."""
    return write_stock(tmp_path_factory.mktemp("company") / "landing")


@pytest.fixture(scope="session")
def found(stock: Path) -> Inventory:
    """The inventory of that folder."""
    return inventory_of(stock)
