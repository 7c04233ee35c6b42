"""``valtag segment rule``: one rule as text and as YAML."""

from typing import Any

from rich.console import Console

from valtag_assets.console.preview import rule_of
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.rule_text import rule_data, spelt_out, write_rule
from valtag_assets.spec.yaml_text import write_yaml


def rule_forms(resolved: Resolved, text: str) -> dict[str, Any]:
    """``{text, yaml}`` of the rule ``text``, or of the saved audience of that code. Raises Mistake."""
    saved = resolved.segments.get(text.strip())
    written = spelt_out(saved.spec.rule) if saved is not None else rule_of(resolved, text)[0]
    return {"text": write_rule(written), "yaml": {"rule": rule_data(written)}}


def print_forms(console: Console, forms: dict[str, Any]) -> None:
    """Both forms, the text first."""
    console.print(forms["text"], markup=False, soft_wrap=True)
    console.print(write_yaml(forms["yaml"]), markup=False, soft_wrap=True, end="")
