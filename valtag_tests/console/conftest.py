"""One shop, run once for all tests of this folder; they only look."""

from collections.abc import Iterator

import dagster as dg
import pytest

from valtag_assets.graph.setting import Setting
from valtag_tests.console import ledger
from valtag_tests.console.ledger import Ledger
from valtag_tests.graph.shop import Shop


@pytest.fixture(scope="package")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop after one run; not to be changed."""
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(tmp_path_factory.mktemp("ledger"), instance, ledger.catalog())
        ledger.write(shop)
        outcomes = shop.run()
        assert set(outcomes.values()) == {"published"}, outcomes
        yield shop


@pytest.fixture(scope="package")
def setting(ran: Shop) -> Setting:
    return ran.setting


@pytest.fixture(scope="package")
def book(ran: Shop) -> Ledger:
    return Ledger.read(ran.root / "catalog" / "data")
