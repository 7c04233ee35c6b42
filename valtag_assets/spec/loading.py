"""A YAML file read into its pydantic model, with the line of every mistake."""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from valtag_assets.spec.problem import Problem, did_you_mean, near
from valtag_assets.spec.yaml_text import LinedList, LinedMap, YamlError, read_yaml

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]

# Keys that read better in YAML than the model's own field names.
_WRITTEN = {"source_name": "from", "lowest": "from", "expression": "value"}


@dataclass(frozen=True)
class CatalogFile(Generic[Model]):
    """One catalog file: its model and the positions of its keys (``raw``; None: to be read when they are needed)."""

    path: Path
    raw: Any
    model: Model

    def problem(self, place: Place, message: str) -> Problem:
        return problem_at(self.path, self.raw, place, message)


@dataclass(frozen=True)
class Kinds(Generic[Model]):
    """Files of one folder that hold different models: the value of ``key`` says which; ``default`` where it is
    left out."""

    key: str
    default: str
    models: Mapping[str, type[Model]]


def read_file(path: Path, model: type[Model] | Kinds[Model]) -> CatalogFile[Model] | list[Problem]:
    """Read and validate ``path``; every mistake of the file at once."""
    try:
        raw = read_yaml(_text(path))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return [Problem(path, line, "", f"is not UTF-8 (byte {error.start}); save catalog files as UTF-8")]
    except YamlError as error:
        return [Problem(path, error.line, "", str(error))]
    except OSError as error:
        return [Problem(path, 1, "", f"can't be read: {error}")]
    if isinstance(model, Kinds):
        named = raw.get(model.key, model.default) if isinstance(raw, LinedMap) else model.default
        if not isinstance(named, str) or named not in model.models:
            message = f"{named!r} is none of {', '.join(model.models)}{near(str(named), list(model.models))}"
            return [problem_at(path, raw, (model.key,), message)]
        model = model.models[named]
    if not isinstance(raw, LinedMap):
        found = "empty" if raw is None else "a list" if isinstance(raw, LinedList) else f"a {type(raw).__name__}"
        known = ", ".join(_keys_at(model, ()))
        return [Problem(path, 1, "", f"must hold keys and values at its top level ({known}); it is {found}")]
    try:
        return CatalogFile(path, raw, model.model_validate(raw))
    except ValidationError as error:
        found_here = [_explain(path, raw, model, details) for details in error.errors(include_url=False)]
        return list(dict.fromkeys(found_here))


def problem_at(path: Path, raw: Any, place: Place, message: str) -> Problem:
    """A problem at the deepest part of ``place`` that the file really has. Without ``raw`` the file is read again."""
    line, node, where = 1, _reread(_text(path)) if raw is None else raw, ""
    for step in place:
        key = _WRITTEN.get(step, step) if isinstance(step, str) else step
        if isinstance(node, LinedMap) and key in node:
            # A key that came in by a merge (<<: *anchor) has no line of its own here.
            line = node.lines.get(key, line)
            where = f"{where}.{key}" if where else str(key)
        elif isinstance(node, LinedList) and isinstance(key, int) and key < len(node):
            line = node.lines[key]
            where = f"{where}[{_label(node[key], key)}]"
        else:
            continue
        node = node[key]
    return Problem(path, line, where, message)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig")


@lru_cache(maxsize=1)
def _reread(text: str) -> Any:
    """What the file says, for the lines of its keys; a file with one mistake often has many."""
    return read_yaml(text)


def _label(item: Any, index: int) -> str:
    """An item of a list as people know it: its code or name, else its number from 1."""
    if isinstance(item, LinedMap):
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
