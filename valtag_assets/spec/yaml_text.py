"""YAML text as plain data that remembers its lines.

libyaml (through PyYAML) reads the syntax; its events become dicts, lists and scalars in one pass, which is what
lets a catalog of ten thousand tags load in seconds. Scalars are YAML 1.2's, dates beside them: ``yes`` and
``06:00`` are text. Codes that look like numbers stay text, too: 16_25 is not 1625, and 007 is not 7.
"""

import re
from collections.abc import Callable, Hashable, Iterator
from datetime import date, datetime
from typing import Any

import yaml

# Anchors are written out; what multiplies or nests without end is refused.
MOST_NODES = 1_000_000
MOST_DEPTH = 100

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# Only text that starts like this can be anything but text or one of _WORDS.
_STARTS = frozenset("0123456789+-.")
_READERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII), int),
    (re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+", re.ASCII), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII), float),
    (re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII), date.fromisoformat),
    (re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?", re.ASCII), datetime.fromisoformat),
)
_CODE = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_TEXT = "tag:yaml.org,2002:str"
_MERGE = object()


class YamlError(Exception):
    """A text that is no catalog file: ``line`` (from 1) and what is wrong there, as the end of a sentence."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class LinedMap(dict[Hashable, Any]):
    """A mapping and the line (from 1) of each key that is written in it; merged keys have none here."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Hashable, int] = {}


class LinedList(list[Any]):
    """A sequence and the line (from 1) of each item."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


def read_yaml(text: str) -> Any:
    """The one document of ``text``: LinedMap, LinedList, str, int, float, bool, date, datetime or None.

    Raises YamlError.
    """
    parser = yaml.CSafeLoader(text)
    try:
        return _Builder().build(iter(parser.get_event, None))
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        raise YamlError(line, f"holds a character YAML does not allow (U+{error.character:04X})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlError(line, f"is no valid YAML: {_said(error, text, line)}") from error
    finally:
        parser.dispose()


def _said(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    """libyaml's complaint as one line."""
    said = " ".join(filter(None, (error.context, error.problem)))
    row = text.split("\n")[line - 1 : line]
    tabbed = any("\t" in part[: len(part) - len(part.lstrip())] for part in row)
    return f"{said}; indent with spaces, never with tabs" if tabbed else said


class _Builder:
    """Events to data: a stack of the containers that are still open, and the nodes each holds so far."""

    def __init__(self) -> None:
        self.anchored: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def build(self, events: Iterator[Any]) -> Any:
        document = LinedList()
        open_: list[_Open] = [_Open(document, None, 0)]
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._count(1, event)
                value = _scalar(event)
                if event.anchor:
                    self.anchored[event.anchor] = (value, 1)
                open_[-1].add(value, event.start_mark.line + 1, event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                if event.tag:
                    raise _unknown_tag(event)
                if len(open_) > MOST_DEPTH:
                    raise YamlError(event.start_mark.line + 1, "is nested too deep")
                self._count(1, event)
                container = LinedMap() if kind is yaml.MappingStartEvent else LinedList()
                open_.append(_Open(container, event, self.nodes - 1))
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                done = open_.pop()
                assert done.start is not None
                if done.start.anchor:
                    self.anchored[done.start.anchor] = (done.container, self.nodes - done.before)
                open_[-1].add(done.container, done.start.start_mark.line + 1, done.start)
            elif kind is yaml.AliasEvent:
                if event.anchor not in self.anchored:
                    raise YamlError(
                        event.start_mark.line + 1, f"*{event.anchor} stands for nothing written before it"
                    )
                value, size = self.anchored[event.anchor]
                self._count(size, event)
                open_[-1].add(value, event.start_mark.line + 1, event)
            elif kind is yaml.DocumentStartEvent and document:
                raise YamlError(event.start_mark.line + 1, "is no valid YAML: a second document starts here (---)")
        return document[0] if document else None

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MOST_NODES:
            line = event.start_mark.line + 1
            raise YamlError(line, f"has more than {MOST_NODES} values once its anchors are written out")


class _Open:
    """A container whose end has not come yet; of a mapping also the key that waits for its value."""

    __slots__ = ("before", "container", "key", "key_line", "start", "waiting")

    def __init__(self, container: LinedMap | LinedList, start: Any, before: int) -> None:
        self.container, self.start, self.before = container, start, before
        self.key: Any = None
        self.key_line = 0
        self.waiting = False

    def add(self, value: Any, line: int, event: Any) -> None:
        container = self.container
        if isinstance(container, LinedList):
            container.append(value)
            container.lines.append(line)
        elif not self.waiting:
            self._take_key(value, line, event)
        else:
            self.waiting = False
            if self.key is _MERGE:
                self._merge(value, line)
            else:
                container[self.key] = value
                container.lines[self.key] = self.key_line

    def _take_key(self, key: Any, line: int, event: Any) -> None:
        if isinstance(key, LinedMap | LinedList):
            raise YamlError(line, "is no valid YAML: a key must be a single word or text")
        if type(event) is yaml.ScalarEvent and key == "<<" and event.implicit[0]:
            key = _MERGE
        lines = self.container.lines
        assert isinstance(lines, dict)
        if key in lines:
            raise YamlError(line, f'is no valid YAML: found duplicate key "{key}"')
        self.key, self.key_line, self.waiting = key, line, True

    def _merge(self, value: Any, line: int) -> None:
        """``<<``: the keys of other mappings, where they are not written here."""
        container = self.container
        assert isinstance(container, LinedMap)
        for other in value if isinstance(value, LinedList) else (value,):
            if not isinstance(other, LinedMap):
                raise YamlError(line, "is no valid YAML: << takes a block, as in <<: *anchor")
            for key, inner in other.items():
                container.setdefault(key, inner)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.tag and event.tag != _TEXT:
        raise _unknown_tag(event)
    if not event.implicit[0] or event.tag:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS or _CODE.fullmatch(text):
        return text
    for pattern, read in _READERS:
        if pattern.fullmatch(text):
            try:
                return read(text)
            except ValueError:  # 2024-02-30: the place it stands in says what it wants
                return text
    return text


def _unknown_tag(event: Any) -> YamlError:
    return YamlError(
        event.start_mark.line + 1, f"is no valid YAML here: the tag {event.tag} is not used in a catalog"
    )


class _Dumper(yaml.SafeDumper):
    """PyYAML knows YAML 1.1: a text that ``read_yaml`` would take for a number (1e5) is quoted, too."""

    def represent_text(self, text: str) -> yaml.Node:
        plain = yaml.ScalarEvent(None, None, (True, False), text)
        style = '"' if "\n" in text else None if _scalar(plain) == text else "'"
        return self.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def write_yaml(data: object) -> str:
    """Plain data as YAML text, keys in their order, Chinese as it is."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)


def flow_yaml(data: object) -> str:
    """Plain data as YAML text on one line: ``{zh: 城市, en: City}``."""
    text = yaml.dump(
        data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=True, width=float("inf")
    )
    return text.removesuffix("...\n").strip()
