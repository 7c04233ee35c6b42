"""Drafts as YAML text a person goes on writing in: one line per field, and beside it why it is so.

What stands in data is quoted wherever a plain word could be read as something else; a comment is one line of
printable signs. So no name in a company's files can end up as syntax.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from valtag_assets.engine.inventory.drafting import Draft
from valtag_assets.spec.block import Title
from valtag_assets.spec.yaml_text import read_yaml

_PLAIN = re.compile(r"[A-Za-z_一-鿿][\w一-鿿]*(?: [\w一-鿿]+)*")
_WORDS = frozenset(["true", "false", "null", "yes", "no", "off", "y", "n"])
_WIDE = 150  # characters: a longer field is written over several lines


def source_text(draft: Draft) -> str:
    """The text of sources/<code>.yaml. AssertionError: it would not read as the data it was made of."""
    data, table = draft.data, draft.table
    lines = [f"# {comment(table.role.reason)}"]
    lines += [f"# {comment(note)}" for note in table.notes]
    if draft.quarantined:
        share = f"{draft.quarantined:.2%}"
        lines.append(f"# 预计隔离 {share} 的行 · about {share} of the rows will be quarantined")
    for key, value in data.items():
        if key == "fields":
            lines.append("fields:")
            lines += [line for item in value for line in _field(item, draft.reasons.get(item["name"], []))]
        elif key in ("lookups", "drop"):
            lines += [f"{key}:", *(f"  - {flow(item)}" for item in value)]
        else:
            lines.append(f"{key}: {flow(value)}")
    taken = {item["name"] for item in data["fields"]}
    left = [column for column in table.columns if column.code not in taken]
    if left:
        lines.append("# 未纳入 · left out:")
        lines += [f"#   {column.code}: {comment(column.reason or _unsaid())}" for column in left]
    text = "\n".join(lines) + "\n"
    assert read_yaml(text) == data, f"the draft of {table.code} does not read as it was meant"
    return text


def project_text(data: Mapping[str, Any]) -> str:
    """The text of project.yaml, with what should be looked at first."""
    said = {
        "timezone": "时间不带时区的按此解释 · a time without a zone is taken to be in it",
        "start": "可选的第一个统计截止日 · the first as-of that may be asked for",
        "persons": "这些表里的键构成人群 · the keys of these sources are the persons",
        "day_complete_after": "数据只有一天 · the data is of one day only",
    }
    lines = ["# 由 valtag inventory 起草，请核对 · drafted by valtag inventory: read it before you rely on it"]
    for key, value in data.items():
        lines.append(f"{key}: {flow(value)}" + (f"  # {said[key]}" if key in said else ""))
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Data as one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return _scalar(str(value))


def comment(said: Title) -> str:
    """A remark as the text of a comment."""
    text = f"{said.zh} · {said.en}"
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _field(item: Mapping[str, Any], reasons: list[Title]) -> list[str]:
    said = [f"    # {comment(reason)}" for reason in reasons]
    whole = flow(item)
    if len(whole) <= _WIDE:
        return [*said, f"  - {whole}"]
    (first, value), *rest = item.items()
    return [*said, f"  - {first}: {flow(value)}", *(f"    {key}: {flow(inner)}" for key, inner in rest)]


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08X}"


def _unsaid() -> Title:
    return Title(zh="无需", en="not needed")
