"""Mistakes in a catalog, and where they stand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One mistake: ``file:line: where: what is wrong``."""

    file: Path
    line: int
    where: str
    message: str

    def __str__(self) -> str:
        where = f" {self.where}:" if self.where else ""
        return f"{self.file}:{self.line}:{where} {self.message}"

    def to_json(self) -> dict[str, str | int]:
        return {"file": str(self.file), "line": self.line, "where": self.where, "message": self.message}


class CatalogError(Exception):
    """A catalog that can't be used. ``problems`` holds every mistake found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (str(problem.file), problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`` ; did you mean 'x'?`` for the nearest known word, or what there is when nothing is near."""
    if found := near(word, known):
        return found
    shown = ", ".join(sorted(known)[:12])
    return f"; there is {shown}{', …' if len(known) > 12 else ''}" if known else "; there is none"


def near(word: str, known: Sequence[str]) -> str:
    """`` ; did you mean 'x'?`` for the nearest known word, or nothing."""
    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""
