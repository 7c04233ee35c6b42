"""How tests are shared out among workers: what is costly to set up is set up once. And with what luck they run."""

import pytest

from valtag_tests import chance

chance.load()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays with one worker; so do the files that share the mall, and those that share a Java machine."""
    for item in items:
        folder, file = item.path.parent.name, item.path.stem
        together = "mall" if file.startswith("test_mall") else "spark" if folder == "spark" else f"{folder}.{file}"
        item.add_marker(pytest.mark.xdist_group(together))
