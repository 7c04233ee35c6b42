"""Which tables a run makes: ``tags/transaction``, ``segments/*``, ``+scores/rfm`` (and all above it),
``tags/lifecycle+`` (and all below it); several are separated by blanks or commas."""

import fnmatch
import re
from collections.abc import Collection, Sequence

import dagster as dg

from valtag_assets.graph.stages import asset_key
from valtag_assets.spec.problem import did_you_mean


class UnknownTable(ValueError):
    """A selection that names no table of the catalog."""


def select_tables(texts: Sequence[str], definitions: dg.Definitions, tables: Collection[str]) -> frozenset[str]:
    """The tables that ``texts`` select out of ``tables``. Raises UnknownTable with what was probably meant."""
    terms = [term for text in texts for term in re.split(r"[\s,]+", text) if term]
    chosen: set[str] = set()
    for term in terms:
        name = term.removeprefix("+").removesuffix("+")
        found = fnmatch.filter(sorted(tables), name)
        if not found:
            raise UnknownTable(f"'{name}' selects no table{did_you_mean(name, sorted(tables))}")
        picked = dg.AssetSelection.assets(*map(asset_key, found))
        above = picked.upstream() if term.startswith("+") else picked
        below = picked.downstream() if term.endswith("+") else picked
        keys = (above | below).resolve(definitions.resolve_asset_graph())
        chosen |= {"/".join(key.path) for key in keys}
    return frozenset(chosen & set(tables))
