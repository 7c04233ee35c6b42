"""What the plot of a category shows when there are very many tags."""

from valtag_assets.graph.plots import MOST_TAGS, _category_figure, _Tag


def test_of_very_many_tags_those_are_drawn_that_are_held_or_that_fewest_have() -> None:
    tags = [_Tag(f"tag_{n}", f"标签{n}", "", n / 250, n == 200, None) for n in range(250)]
    (axes,) = _category_figure(tags).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["标签200 tag_200", *(f"标签{n} tag_{n}" for n in range(MOST_TAGS - 1))]
    assert "the 40 lowest of 250" in axes.get_title(loc="left")
    (axes,) = _category_figure(tags[:MOST_TAGS]).axes
    assert len(axes.get_yticklabels()) == MOST_TAGS and "lowest" not in axes.get_title(loc="left")
