"""A desk of one's own for each test, and one that nobody changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from valtag_tests.serving.desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Nothing is published yet."""
    return Desk.at(tmp_path)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Everything is published for one as-of. Only to look at."""
    made = Desk.at(tmp_path_factory.mktemp("served"))
    made.publish_all()
    return made


@pytest.fixture(scope="session")
def client(served: Desk) -> Iterator[TestClient]:
    """Asks the open service over ``served``."""
    with served.client() as made:
        yield made
