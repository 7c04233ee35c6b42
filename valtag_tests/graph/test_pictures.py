"""Pictures of asset pages are kept by what they show."""

from matplotlib.figure import Figure

from valtag_assets.graph.figures import Bars, bars_figure
from valtag_assets.graph.plots import as_image


def test_equal_pictures_are_drawn_once_and_others_anew() -> None:
    drawn: list[list[str]] = []

    def draw(labels: list[str], panels: list[Bars]) -> Figure:
        drawn.append(labels)
        return bars_figure(labels, panels)

    def shown(label: str, value: float) -> str:
        return str(as_image("bars", draw, [label], [Bars("人数", [value], [f"{value}"])]).value)

    first = shown("a", 1.0)
    assert shown("a", 1.0) == first
    assert len({first, shown("a", 2.0), shown("b", 1.0)}) == 3
    assert drawn == [["a"], ["a"], ["b"]]
