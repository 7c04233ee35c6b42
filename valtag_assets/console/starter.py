"""``valtag init``: a catalog of one's own, copied from the shipped starter or from a trade's starter pack."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from valtag_assets.catalogs.packs.generate import PACKS, generate
from valtag_assets.console.screen import table
from valtag_assets.graph.setting import SHIPPED
from valtag_assets.spec.block import Code
from valtag_assets.spec.catalog import read_catalog
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean

STARTER = "starter"
LIST = "list"
SEED = 7
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.py", "*.sql")


def init_catalog(path: str, into: Path, pack: str | None = None, persons: int = 3000) -> Path:
    """Write the starter catalog, or that of ``pack`` with made-up tables of ``persons`` persons, as ``into/path``,
    whose last part is the catalog's name.

    The folder appears when it is complete. Raises Mistake for a bad name, pack or size, or a folder that is there.
    """
    into, name = into / Path(path).parent, Path(path).name
    try:
        TypeAdapter(Code).validate_python(name)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Mistake(f"{said}; the last part of the path is the catalog's name") from error
    origin, target = SHIPPED / STARTER if pack is None else _pack(pack), into / name
    if os.path.lexists(target):
        raise Mistake(f"{target} exists already: choose another name, or remove it first")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=f".{name}-") as text:
        made = Path(text) / name
        shutil.copytree(origin, made, ignore=_NOT_COPIED)
        _rename(made / "project.yaml", origin.name, name)
        if pack is not None:
            try:
                generate(origin, made / "data", persons, SEED)
            except ValueError as error:
                raise Mistake(str(error)) from error
        made.rename(target)
    return target


def print_packs(console: Console) -> None:
    """The starter packs with their titles and what their tags are about."""
    rows = []
    for folder in _packs().values():
        catalog = read_catalog(folder).catalog
        about = [str(entry.spec.title) for entry in catalog.categories.values()]
        rows.append([folder.name, str(catalog.project.title), len(catalog.tags), "; ".join(about)])
    console.print(table("Starter packs 入门包", ["!pack", "!title", ">tags", "categories 类目"], rows))


def _packs() -> dict[str, Path]:
    return {path.parent.name: path.parent for path in sorted(PACKS.glob("*/project.yaml"))}


def _pack(name: str) -> Path:
    found = _packs()
    if name not in found:
        raise Mistake(f"'{name}' is no starter pack{did_you_mean(name, list(found))}")
    return found[name]


def _rename(project: Path, old: str, new: str) -> None:
    """The catalog's own name in the place of its origin's, also in the commands it tells."""
    text = project.read_text(encoding="utf-8")
    text = re.sub(rf"(?m)^name: {old}$", f"name: {new}", text)
    project.write_text(text.replace(f"--catalog {old}", f"--catalog {new}"), encoding="utf-8")
