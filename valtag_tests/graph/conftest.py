"""A shop of one's own for each test."""

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
