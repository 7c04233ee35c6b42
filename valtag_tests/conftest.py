"""How tests are shared out among workers, where their files lie, and with what luck they run."""

import os
import shutil
from pathlib import Path

import pytest

from valtag_tests import chance

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30
"""Bytes; the files of a whole suite are a quarter of it."""
COSTLY = ("spark", "golden", "graph", "cli", "e2e", "site", "console", "access", "quality", "engine")
"""Folders whose files take long, those with the longest first."""

chance.load()


def pytest_configure(config: pytest.Config) -> None:
    """Folders of tests lie in memory where there is room: a run makes hundreds of files durable, and a disk takes
    its time for each. Begin with what takes longest: what is short fills up the end."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays with one worker; so do the files that share the mall, and those that share a Java machine."""
    for item in items:
        folder, file = item.path.parent.name, item.path.stem
        together = "mall" if file.startswith("test_mall") else "spark" if folder == "spark" else f"{folder}.{file}"
        item.add_marker(pytest.mark.xdist_group(together))
    items.sort(key=lambda item: _begins(item.path.relative_to(Path(__file__).parent).parts[0]))


def _begins(folder: str) -> int:
    return COSTLY.index(folder) if folder in COSTLY else len(COSTLY)
