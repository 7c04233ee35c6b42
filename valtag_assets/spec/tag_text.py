"""Tags as YAML text: blocks in the style of the shipped catalogs, put into a file without touching another line.

Where a block goes is told by the parser's own positions; what is there already is copied, never written anew, so
comments, quotes and line ends stay as somebody wrote them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from valtag_assets.spec.yaml_text import flow_yaml

# The order in which a block says things, as people read them.
KEYS = (
    "code", "title", "group", "meaning", "type", "unit", "value", "band", "windows", "domain", "empty", "null_policy",
    "layer", "access", "owner", "used_for", "checks",
)  # fmt: skip
_COMMENT = re.compile(r"([ \t]*)#[^\n]*(?:\n|\Z)")


class NoPlace(Exception):
    """A file has no list of blocks to add to; the message says what it has, as the end of a sentence."""


def tag_text(tag: Mapping[str, Any], indent: int, newline: str = "\n") -> str:
    """The block of ``tag`` (keys as in YAML, in any order) as an item of a list whose dashes stand at ``indent``."""
    lines = [line for key in KEYS if key in tag for line in _key_lines(key, tag[key])]
    assert set(tag) <= set(KEYS), sorted(set(tag) - set(KEYS))
    first, *rest = lines
    return "".join([f"{' ' * indent}- {first}{newline}", *(f"{' ' * (indent + 2)}{line}{newline}" for line in rest)])


def category_text(category: Mapping[str, Any], tags: Sequence[Mapping[str, Any]]) -> str:
    """A whole file of tags/: the keys of ``category`` in their order, then its tags."""
    heading = "".join(f"{key}: {flow_yaml(value)}\n" for key, value in category.items())
    return f"{heading}tags:\n{''.join(tag_text(tag, 2) for tag in tags)}"


def with_laws(text: str, laws: Sequence[Mapping[str, str]]) -> str:
    """``text``, a file of tags/, with more laws, behind those it has. Raises NoPlace where they are not written as a
    block of dashes."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    assert isinstance(root, yaml.MappingNode), "a file of tags"
    listed = next((value for key, value in root.value if key.value == "laws"), None)
    if listed is None:
        before = text if text.endswith("\n") else text + newline
        return before + f"laws:{newline}" + "".join(f"  - {flow_yaml(law)}{newline}" for law in laws)
    if not isinstance(listed, yaml.SequenceNode) or listed.flow_style or not listed.value:
        raise NoPlace("its laws are not a list of '- {name: …, law: …}' lines, one below the other; write them so")
    indent = listed.start_mark.column
    at = _line_after(text, _end(text, listed.value[-1]), indent)
    before = text[:at] if text[at - 1] == "\n" else text[:at] + newline
    return before + "".join(f"{' ' * indent}- {flow_yaml(law)}{newline}" for law in laws) + text[at:]


def with_tags(text: str, tags: Sequence[Mapping[str, Any]]) -> str:
    """``text``, a file of tags/, with more tags: each after the last one of its ``group``, else at the end.

    Raises NoPlace where the tags are not written as a block of dashes.
    """
    listed = _tags_node(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = listed.start_mark.column
    groups = [_said(item, "group") for item in listed.value]
    added: dict[int, str] = {}
    for tag in tags:
        branch = [place for place, group in enumerate(groups) if group is not None and group == tag.get("group")]
        after = listed.value[branch[-1] if branch else -1]
        at = _line_after(text, _end(text, after), indent)
        added[at] = added.get(at, "") + tag_text(tag, indent, newline)
    for at in sorted(added, reverse=True):
        # The last line of a file may have no end.
        before = text[:at] if at == 0 or text[at - 1] == "\n" else text[:at] + newline
        text = before + added[at] + text[at:]
    return text


def with_windows(text: str, code: str, windows: Sequence[str]) -> str:
    """``text``, a file of tags/, in which the tag ``code`` has more windows, after those it has. Raises NoPlace."""
    item = next(item for item in _tags_node(text).value if _said(item, "code") == code)
    if item.flow_style:
        raise NoPlace(f"'{code}' is written on one line; write it as a block, one key a line")
    listed = next((value for key, value in item.value if key.value == "windows"), None)
    if listed is None:
        indent, newline = item.start_mark.column, "\r\n" if "\r\n" in text else "\n"
        at = _line_after(text, _end(text, item), indent - 1)
        before = text[:at] if text[at - 1] == "\n" else text[:at] + newline
        return f"{before}{' ' * indent}windows: {flow_yaml(['all', *windows])}{newline}{text[at:]}"
    if not isinstance(listed, yaml.SequenceNode) or not listed.flow_style or not listed.value:
        raise NoPlace(f"the windows of '{code}' are not written as [all, 30d]; write them so")
    at = listed.value[-1].end_mark.index
    return text[:at] + "".join(f", {flow_yaml(window)}" for window in windows) + text[at:]


def _key_lines(key: str, value: Any) -> list[str]:
    if key != "band":
        return [f"{key}: {flow_yaml(value)}"]
    steps = [f"    - {flow_yaml(step)}" for step in value["steps"]]
    return ["band:", f"  of: {flow_yaml(value['of'])}", "  steps:", *steps]


def _tags_node(text: str) -> yaml.SequenceNode:
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value != "tags":
            continue
        if value.start_mark.index < key.end_mark.index:
            raise NoPlace("its tags are an alias of another block; write them out")
        if not isinstance(value, yaml.SequenceNode) or value.flow_style or not value.value:
            raise NoPlace("its tags are not a list of '- code: …' blocks, one below the other; write them so")
        return value
    raise NoPlace("it has no 'tags:'")


def _said(item: yaml.Node, wanted: str) -> str | None:
    """The scalar that a block gives the key."""
    pairs = item.value if isinstance(item, yaml.MappingNode) else ()
    return next((str(value.value) for key, value in pairs if key.value == wanted), None)


def _end(text: str, node: yaml.Node) -> int:
    """Where the last thing written in ``node`` ends. A block's own end is where the next token begins."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return max(_end(text, part) for pair in node.value for part in pair)
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return max(_end(text, part) for part in node.value)
    end: int = node.end_mark.index
    return len(text[:end].rstrip())


def _line_after(text: str, end: int, indent: int) -> int:
    """The start of the next line that does not belong to the item: comments set deeper than its dash do."""
    line = text.find("\n", end) + 1 or len(text)
    while (found := _COMMENT.match(text, line)) and len(found[1]) > indent and found.end() > line:
        line = found.end()
    return line
