"""How tests are shared out among workers, where their files lie, and with what luck they run."""

import os
import shutil
from pathlib import Path
from typing import Any

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
    items.sort(key=lambda item: _begins(item.nodeid.split("/")[1]))


def _begins(folder: str) -> int:
    return COSTLY.index(folder) if folder in COSTLY else len(COSTLY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays with one worker; so do the files that share the mall, and those that share a Java machine.

    Not by xdist's groups: those are lost with pytest 9.2, which reads no more the name that they are written into.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder, file = nodeid.partition("::")[0].split("/")[-2:]
            return "mall" if file.startswith("test_mall") else "spark" if folder == "spark" else f"{folder}/{file}"

    return Together(config, log)
