"""The catalog the graph works from: resolved, and checked by every layer that will use it."""

from pathlib import Path

from valtag_assets.delivery.access import access_mistakes
from valtag_assets.engine.access_rules import access_rule_mistakes
from valtag_assets.engine.cleaning.mistakes import cleaning_mistakes
from valtag_assets.engine.portability import engine_mistakes
from valtag_assets.expression.resolve import resolve_catalog
from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality.misplaced import misplaced_checks
from valtag_assets.spec.problem import CatalogError


def checked_catalog(root: Path, engine: str | None = None, keep_in: Path | None = None) -> Resolved:
    """The catalog folder ``root``, ready to compute. Raises CatalogError with every mistake, before any data.

    ``engine`` computes in the place of the catalog's own (``spec.engines.Engines.instead``); what was read of a big
    catalog is kept below the folder ``keep_in``.
    """
    resolved = resolve_catalog(root, keep_in)
    engines = resolved.catalog.project.engine.instead(engine)
    problems = [*cleaning_mistakes(resolved), *misplaced_checks(resolved), *engine_mistakes(resolved, engines)]
    problems += [*access_rule_mistakes(resolved), *access_mistakes(resolved)]
    if problems:
        raise CatalogError(problems)
    return resolved
