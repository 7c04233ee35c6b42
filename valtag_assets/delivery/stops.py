"""The kill switch: a file per thing that is stopped, seen by the very next send in any process."""

import re
from pathlib import Path

EVERYTHING = "all"
_NAME = re.compile(r"all|(channel|destination|trigger|delivery)\.[a-z][a-z0-9_]*")


class Stops:
    """What is stopped at present, in ``folder``: ``all``, ``channel.<code>``, ``destination.<code>``,
    ``trigger.<code>`` or ``delivery.<code>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def stop(self, name: str) -> None:
        """Stop it. ValueError for a name that stands for nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file(name).touch()

    def start(self, name: str) -> bool:
        """Let it go on; whether it was stopped. ValueError for a name that stands for nothing."""
        there = self._file(name).exists()
        self._file(name).unlink(missing_ok=True)
        return there

    def now(self) -> frozenset[str]:
        """The names of what is stopped."""
        if not self._folder.is_dir():
            return frozenset()
        return frozenset(path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name))

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"'{name}' can't be stopped: write all, channel.sms, trigger.x, delivery.x, destination.x"
            )
        return self._folder / name
