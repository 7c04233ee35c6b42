"""A portrait as files: one HTML page that needs nothing else, and the pictures in it."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from valtag_assets.console import portrait_view
from valtag_assets.console.portrait import Pictured
from valtag_assets.site.portrait_plots import PANELS, draw_distributions, draw_effects

__all__ = ["PANELS", "write_page"]
PAGE, EFFECTS, DISTRIBUTIONS = "portrait.html", "effects.png", "distributions.png"
VALUES_SHOWN = 12


def write_page(found: Pictured, into: Path) -> list[Path]:
    """Write the page and its pictures into the folder ``into``, over those of an earlier portrait; the files."""
    into.mkdir(parents=True, exist_ok=True)
    pictures = []
    for name in (EFFECTS, DISTRIBUTIONS):
        (into / name).unlink(missing_ok=True)
    if found.portrait.differences:
        draw_effects(found, into / EFFECTS)
        pictures.append(into / EFFECTS)
        if draw_distributions(found, into / DISTRIBUTIONS):
            pictures.append(into / DISTRIBUTIONS)
    page = into / PAGE
    page.write_text(page_text(found, pictures), encoding="utf-8")
    return [page, *pictures]


def page_text(found: Pictured, pictures: list[Path]) -> str:
    """The HTML. Everything from the catalog or the data is escaped."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("portrait.html.j2").render(
        found=found,
        view=portrait_view,
        values_shown=VALUES_SHOWN,
        pictures=[(path.stem, base64.b64encode(path.read_bytes()).decode()) for path in pictures],
    )
