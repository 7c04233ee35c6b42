"""The generators that shipped catalogs bring along."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from valtag_assets.graph.setting import SHIPPED
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean


def generator(catalog: str) -> Callable[..., dict[str, Any]]:
    """``generate(into, persons, days, seed, progress)`` of a shipped catalog. Raises Mistake if it has none."""
    known = sorted(path.parent.name for path in SHIPPED.glob("*/generate.py"))
    if catalog not in known:
        raise Mistake(f"'{catalog}' has no generator{did_you_mean(catalog, known)}")
    made: Callable[..., dict[str, Any]] = import_module(f"valtag_assets.catalogs.{catalog}.generate").generate
    return made
