"""The published table of any model, by name and as an unbound table."""

import ibis

from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.session import unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import ResolvedScore


def scores_name(score: str) -> str:
    """The table key of a score."""
    return f"scores/{score}"


def score_table(score: ResolvedScore) -> ibis.Table:
    """The published scores as an unbound table."""
    schema = {PERSON: ibis.dtype("string")} | {n: to_ibis_type(k) for n, k in score.columns.items()}
    return unbound(scores_name(score.code), schema)
