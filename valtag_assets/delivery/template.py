"""Request bodies from templates: a structure of YAML with ``{field}`` in its texts.

A text that is one placeholder becomes the value itself, as JSON has it; anywhere else the value's text is put in.
Either way it stays inside one JSON text: no value can end it.
"""

from collections.abc import Mapping
from typing import Any

from valtag_assets.spec.destination import PLACEHOLDER


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """``template`` with ``values`` in the place of its placeholders. KeyError for a name that has none."""
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        if whole:
            return values[whole.group(1)]
        return PLACEHOLDER.sub(lambda found: as_text(values[found.group(1)]), template)
    if isinstance(template, dict):
        return {name: fill(item, values) for name, item in template.items()}
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    return template


def as_text(value: Any) -> str:
    """A value inside a text: nothing as nothing, lists separated by commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return str(value)
