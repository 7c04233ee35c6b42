"""What every page is made with: templates, their parts, and the one script a page may run."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from valtag_assets.site.wording import number

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Templates with every value escaped; an unknown name is an error, not an empty place."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = number
    made.filters["percent"] = lambda value: number(value, share=True)
    # Only for what figures.py drew: it has escaped every text in it.
    made.filters["drawn"] = Markup
    return made


def part(name: str) -> str:
    """The text of one file of the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """What the page's policy allows to run: this very script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
