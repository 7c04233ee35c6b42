"""``valtag init``: a catalog of one's own, copied from the shipped starter."""

import shutil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from valtag_assets.graph.setting import SHIPPED
from valtag_assets.spec.block import Code
from valtag_assets.spec.mistake import Mistake

STARTER = "starter"


def init_catalog(name: str, into: Path) -> Path:
    """Write the starter catalog as ``into/name``. Raises Mistake for a bad name or a folder that is there."""
    try:
        TypeAdapter(Code).validate_python(name)
    except ValidationError as error:
        raise Mistake(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    target = into / name
    if target.exists():
        raise Mistake(f"{target} exists already: choose another name, or remove it first")
    into.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SHIPPED / STARTER, target, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    project = target / "project.yaml"
    text = project.read_text(encoding="utf-8")
    text = text.replace(f"\nname: {STARTER}\n", f"\nname: {name}\n")
    text = text.replace(f"--catalog {STARTER}", f"--catalog {name}")
    project.write_text(text, encoding="utf-8")
    return target
