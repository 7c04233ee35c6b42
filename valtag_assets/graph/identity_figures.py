"""Identities as pictures: how many identifiers persons have; those of one, the stronger, the nearer to the middle."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from valtag_assets.engine.identity.figures import MOST
from valtag_assets.graph.figures import Bars, bars_figure, svg
from valtag_assets.spec.mistake import Mistake

_COLOURS = ("#3b6fb6", "#c0504d", "#6a9f58", "#8064a2", "#d08c2f", "#4f9da6", "#8a8a8a")

# A line behind a label is hidden, so that the label can be read.
_BEHIND = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.6}
_AWAY = 7  # points


def sizes_figure(sizes: Sequence[Sequence[int]]) -> Figure:
    """``sizes``: [identifiers, persons], the last of so many or more."""
    labels = [f"{size} 个标识 keys" if size < MOST else f"≥ {MOST} 个标识 keys" for size, _ in sizes]
    bars = Bars("人数 persons", [persons for _, persons in sizes], [f"{persons:,}" for _, persons in sizes])
    return bars_figure(labels, [bars], width=6.4)


def graph_figure(title: str, nodes: Mapping[str, tuple[int, str]], edges: Sequence[tuple[str, str, int]]) -> Figure:
    """``nodes``: by name the rank of their kind and their label; ``edges``: (name, name, rows), wider for more."""
    figure = Figure(figsize=(7, 7))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92))
    places = _places({name: rank for name, (rank, _) in nodes.items()})
    most = max((rows for *_, rows in edges), default=1)
    for hub, other, rows in edges:
        (left, low), (right, high) = places[hub], places[other]
        axes.plot([left, right], [low, high], color="#b0b0b0", linewidth=0.8 + 2 * rows / most, zorder=1)
    for name, (rank, label) in nodes.items():
        colour = _COLOURS[min(rank, len(_COLOURS) - 1)]
        axes.scatter(*places[name], s=90, color=colour, zorder=2)
        axes.annotate(label, places[name], **_outwards(*places[name]))
    axes.margins(0.18)
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure.text(0.02, 0.965, title, fontsize=10)
    return figure


def _outwards(across: float, up: float) -> dict[str, Any]:
    """Where a label is written: away from the middle, where the lines are."""
    right, above = across >= 0, up >= 0
    return {
        "xytext": (_AWAY if right else -_AWAY, _AWAY if above else -_AWAY),
        "textcoords": "offset points",
        "ha": "left" if right else "right",
        "va": "bottom" if above else "top",
        "fontsize": 7,
        "bbox": _BEHIND,
    }


def save(figure: Figure, into: Path) -> None:
    """Write the figure; Mistake unless the file's name ends in .svg or .png, or its folder is missing."""
    if into.suffix not in (".svg", ".png"):
        raise Mistake(f"'{into.name}' is no picture: let its name end in .svg or .png")
    if not into.parent.is_dir():
        raise Mistake(f"'{into.parent}' is no folder")
    if into.suffix == ".svg":
        into.write_text(svg(figure), encoding="utf-8")
        return
    with mpl.rc_context({"text.parse_math": False}):
        figure.savefig(into, dpi=150)


def _places(ranks: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """The strongest kind in the middle, every other one further out; those around it at equal angles, all of them
    together, so that no two hide each other's lines."""
    rings = {rank: ring for ring, rank in enumerate(sorted(set(ranks.values())))}
    middle = [name for name, rank in ranks.items() if rings[rank] == 0]
    around = [name for name, rank in ranks.items() if rings[rank] > 0]
    found = {}
    for names, least in ((middle, 0.4 if len(middle) > 1 else 0.0), (around, 0.0)):
        for number, name in enumerate(names):
            angle = 2 * math.pi * number / len(names) + (0.6 if names is around else 0.0)
            radius = rings[ranks[name]] or least
            found[name] = (radius * math.cos(angle), radius * math.sin(angle))
    return found
