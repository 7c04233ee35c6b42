"""segments/*.yaml: saved audiences (人群圈选)."""

from collections.abc import Iterator
from typing import Any

from pydantic import model_validator

from valtag_assets.spec.block import Block, Code, Title

Path = tuple[str | int, ...]


class Rule(Block):
    """A tree: a condition over tags and scores as text, or ``all`` / ``any`` / ``none`` of rules."""

    condition: str | None = None
    all: tuple["Rule", ...] | None = None
    any: tuple["Rule", ...] | None = None
    none: tuple["Rule", ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"condition": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one(self) -> "Rule":
        given = [name for name in ("condition", *BRANCHES) if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a rule is a condition as text, or exactly one of all, any, none")
        if given[0] != "condition" and not getattr(self, given[0]):
            raise ValueError(f"{given[0]} needs at least one rule")
        return self

    def branch(self) -> tuple[str, tuple["Rule", ...]]:
        """The name of this rule's branch and its rules; a condition has none."""
        for name in BRANCHES:
            rules = getattr(self, name)
            if rules is not None:
                return name, rules
        return "condition", ()

    def conditions(self, path: Path = ()) -> Iterator[tuple[Path, str]]:
        """Every condition text with its place in the YAML tree."""
        if self.condition is not None:
            yield path, self.condition
        name, rules = self.branch()
        for number, rule in enumerate(rules):
            yield from rule.conditions((*path, name, number))


BRANCHES = ("all", "any", "none")


class Segment(Block):
    """One audience: who is in it, what it is for, who owns it."""

    code: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    used_for: tuple[str, ...] = ()
    rule: Rule


class SegmentFile(Block):
    """One file of segments/."""

    segments: tuple[Segment, ...]
