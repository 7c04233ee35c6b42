"""What the values of a tag or score column are called."""

from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.block import Title
from valtag_assets.spec.score import COLUMN_TITLES, QUADRANTS


def column_title(resolved: Resolved, code: str) -> Title:
    """The title of a tag, or of a column of a score with that of its model."""
    if code in resolved.tags:
        return resolved.tags[code].title
    name = resolved.score_of(code)
    assert name is not None
    model, column = resolved.scores[name].spec.title, COLUMN_TITLES[code.removeprefix(f"{name}_")]
    return Title(zh=f"{model.zh}：{column.zh}", en=f"{model.en}: {column.en}")


def value_titles(resolved: Resolved, code: str) -> dict[str, Title]:
    """Titles by value, for those that have one: the steps of a band, a domain's values, tiers and quadrants."""
    tag, name = resolved.tags.get(code), resolved.score_of(code)
    if tag is not None and tag.spec.band is not None:
        return {step.code: step.title for step in tag.spec.band.steps}
    if tag is not None:
        return {value: title for value, title in (tag.spec.domain.values or {}).items() if title is not None}
    assert name is not None
    if code == f"{name}_tier":
        return {tier.code: tier.title for tier in resolved.scores[name].spec.named_tiers}
    return dict(QUADRANTS) if code == f"{name}_quadrant" else {}
