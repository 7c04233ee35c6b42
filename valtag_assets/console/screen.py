"""Tables and lines for a terminal, and JSON for programs. Widths of Chinese text are rich's concern."""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# Where nothing says how wide the output is (a pipe, a log), lines are this long.
_PIPE_WIDTH = 150
# What moves the cursor, colours, clears or turns round what a terminal shows.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def screen(*, errors: bool = False) -> Console:
    """A console on standard output or standard error as they are now."""
    stream = sys.stderr if errors else sys.stdout
    unknown = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(file=stream, width=_PIPE_WIDTH if unknown else None, highlight=False, soft_wrap=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table. A column called ``>name`` is set right, one called ``!name`` (a code) is never folded.

    Cells are plain text, never markup.
    """
    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        right, whole = name.startswith(">"), name.startswith("!")
        justify: Literal["left", "right"] = "right" if right else "left"
        made.add_column(name.lstrip(">!"), justify=justify, no_wrap=right or whole, overflow="fold")
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row])
    return made


def state(word: str) -> Text:
    """A state in the colour people expect."""
    good = word in ("ok", "published", "reused", "passed", "unchanged")
    warned = word.startswith(("warned", "tags held", "not tried", "stale"))
    return Text(word, style="green" if good else "yellow" if warned else "red")


def share(value: float | None) -> str:
    """0.1234 → 12.3%."""
    return "" if value is None else f"{value:.1%}"


def count(value: int | None) -> str:
    """1234567 → 1,234,567."""
    return "" if value is None else f"{value:,}"


def print_json(value: object) -> None:
    """One JSON document on standard output, UTF-8, Chinese as it is."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain, allow_nan=False)
    sys.stdout.write(text + "\n")


def readable(text: str) -> str:
    """The text without what a terminal would take for a command, and with bytes that are no UTF-8 written out."""
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", text.encode("utf-8", "backslashreplace").decode())


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return readable(str(value))


def _plain(value: object) -> Any:
    """Dates as ISO text; decimals as numbers."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")
