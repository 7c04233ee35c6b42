"""The product's own source files, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import valtag_assets

PACKAGE = Path(valtag_assets.__file__).parent
REPOSITORY = PACKAGE.parent
TESTS = REPOSITORY / "valtag_tests"


@dataclass(frozen=True)
class Module:
    """One Python file. ``name`` is its path in its package, as ``engine/facts.py``."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def part(self) -> str:
        """The top-level folder or module: engine, cli, …"""
        return self.name.partition("/")[0].removesuffix(".py")

    def imports(self) -> Iterator[str]:
        """Every imported module by its full name, those inside functions and TYPE_CHECKING included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: imports are absolute"
                yield node.module or ""
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def strings(self) -> Iterator[tuple[int, str]]:
        """Line and value of every string constant, docstrings and pieces of f-strings included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value


def modules_in(folder: Path) -> list[Module]:
    return [Module(path, path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*.py"))]


PRODUCT = modules_in(PACKAGE)
