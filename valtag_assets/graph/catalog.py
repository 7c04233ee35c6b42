"""The catalog the graph works from: resolved, and checked by every layer that will use it."""

from pathlib import Path

from valtag_assets.engine.cleaning.mistakes import cleaning_mistakes
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality.misplaced import misplaced_checks
from valtag_assets.spec.problem import CatalogError


def checked_catalog(root: Path) -> Resolved:
    """The catalog folder ``root``, ready to compute. Raises CatalogError with every mistake, before any data."""
    resolved = resolve_catalog(root)
    problems = [*cleaning_mistakes(resolved), *misplaced_checks(resolved)]
    if problems:
        raise CatalogError(problems)
    return resolved
