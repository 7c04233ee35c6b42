"""A YAML file read into its pydantic model, with the line of every mistake."""

import re
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from valtag_assets.spec.problem import Problem, did_you_mean, near

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]

_MOST_NODES = 200_000

# Keys that read better in YAML than the model's own field names.
_WRITTEN = {"source_name": "from", "at_least": "from", "expression": "value"}


@dataclass(frozen=True)
class CatalogFile(Generic[Model]):
    """One catalog file: its model and the positions of its keys."""

    path: Path
    raw: Any
    model: Model

    def problem(self, place: Place, message: str) -> Problem:
        return problem_at(self.path, self.raw, place, message)


def read_file(path: Path, model: type[Model]) -> CatalogFile[Model] | list[Problem]:
    """Read and validate ``path``; every mistake of the file at once."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        raw = _reader().load(text)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return [Problem(path, line, "", f"is not UTF-8 (byte {error.start}); save catalog files as UTF-8")]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return [Problem(path, mark.line + 1 if mark else 1, "", f"is no valid YAML: {_said(error)}")]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return [Problem(path, line, "", f"holds a character YAML does not allow (U+{error.character:04X})")]
    except (YAMLError, OSError) as error:
        return [Problem(path, 1, "", f"can't be read: {error}")]
    except RecursionError:
        return [Problem(path, 1, "", "is nested too deep")]
    if not isinstance(raw, CommentedMap):
        found = "empty" if raw is None else f"a {type(raw).__name__.removeprefix('Commented').lower()}"
        known = ", ".join(_keys_at(model, ()))
        return [Problem(path, 1, "", f"must hold keys and values at its top level ({known}); it is {found}")]
    try:
        return CatalogFile(path, raw, model.model_validate(plain(raw)))
    except ValidationError as error:
        found_here = [_explain(path, raw, model, details) for details in error.errors(include_url=False)]
        return list(dict.fromkeys(found_here))
    except _TooLarge:
        return [Problem(path, 1, "", f"has more than {_MOST_NODES} values once its anchors are written out")]


class _Constructor(RoundTripConstructor):
    """Codes that look like numbers stay text: 16_25 is not 1625, and 007 is not 7."""

    def construct_yaml_int(self, node: Any) -> Any:
        code = "_" in node.value or re.fullmatch(r"0\d+", node.value)
        return node.value if code else super().construct_yaml_int(node)

    def construct_yaml_float(self, node: Any) -> Any:
        return node.value if "_" in node.value else super().construct_yaml_float(node)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)
_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_yaml_float)


def _reader() -> YAML:
    reader = YAML(typ="rt")
    reader.Constructor = _Constructor
    return reader


class _TooLarge(Exception):
    pass


def plain(node: Any) -> Any:
    """ruamel's round-trip containers as plain dicts and lists (scalars stay as they are).

    Anchors are written out; one that holds itself, or multiplies without end, is refused.
    """
    left = [_MOST_NODES]

    def copied(node: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise _TooLarge
        if isinstance(node, dict):
            return {key: copied(value) for key, value in node.items()}
        if isinstance(node, list):
            return [copied(value) for value in node]
        return node

    try:
        return copied(node)
    except RecursionError as error:
        raise _TooLarge from error


def _said(error: MarkedYAMLError) -> str:
    """ruamel's complaint as one line."""
    said = " ".join(str(error.problem or error.context or "").split())
    if said.startswith("found duplicate key"):
        return said.split(" with value")[0]
    return f"{said}; indent with spaces, never with tabs" if "'\\t'" in said else said


def problem_at(path: Path, raw: Any, place: Place, message: str) -> Problem:
    """A problem at the deepest part of ``place`` that the file really has."""
    line, node, where = 1, raw, ""
    for step in place:
        key = _WRITTEN.get(step, step) if isinstance(step, str) else step
        if isinstance(node, CommentedMap) and key in node:
            # A key that came in by a merge (<<: *anchor) has no line of its own here.
            line = node.lc.key(key)[0] + 1 if key in (node.lc.data or {}) else line
            where = f"{where}.{key}" if where else str(key)
        elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
            line = node.lc.item(key)[0] + 1
            where = f"{where}[{_label(node[key], key)}]"
        else:
            continue
        node = node[key]
    return Problem(path, line, where, message)


def _label(item: Any, index: int) -> str:
    """An item of a list as people know it: its code or name, else its number from 1."""
    if isinstance(item, CommentedMap):
        for key in ("code", "name", "source"):
            if isinstance(item.get(key), str):
                return str(item[key])
    return str(index + 1)


def _explain(path: Path, raw: Any, model: type[BaseModel], error: ErrorDetails) -> Problem:
    place, kind = tuple(error["loc"]), error["type"]
    if kind == "extra_forbidden":
        word = str(place[-1])
        known = _keys_at(model, place[:-1])
        message = f"unknown key '{word}'{did_you_mean(word, known)}"
    elif kind == "missing":
        name = str(place[-1])
        message = f"'{_WRITTEN.get(name, name)}' is missing"
        place = place[:-1]
    elif kind == "literal_error":
        known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        message = f"{error['input']!r} is none of {', '.join(known)}{near(str(error['input']), known)}"
    else:
        said = error["msg"].removeprefix("Value error, ")
        if kind in ("model_type", "model_attributes_type"):
            said = f"must be a block with keys: {', '.join(_keys_at(model, place))}"
        value = error.get("input")
        shown = "" if isinstance(value, dict | list) or kind == "value_error" else f" (here: {value!r})"
        message = f"{said}{shown}"
    return problem_at(path, raw, place, message)


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys allowed at ``place``, found by walking the models along it."""
    models: list[type[BaseModel]] = [model]
    for step in place:
        if isinstance(step, int):
            continue
        below = [m.model_fields[step].annotation for m in models if step in m.model_fields]
        found = [inner for annotation in below for inner in _models_in(annotation)]
        models = found or models
    return sorted({_WRITTEN.get(name, name) for m in models for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
