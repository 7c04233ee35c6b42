"""Mistakes in a catalog, and where they stand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from valtag_assets.spec.spelling import LONGEST_WORD, Spellings

# A message quotes what is written in a file, which may be anything: what is longer is cut in its middle.
LONGEST_MESSAGE = 1000


@dataclass(frozen=True)
class Problem:
    """One mistake: ``file:line: where: what is wrong``."""

    file: Path
    line: int
    where: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", shortened(self.where, LONGEST_WORD))
        object.__setattr__(self, "message", shortened(self.message, LONGEST_MESSAGE))

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
    found = Spellings(known).closest(word)
    return f"; did you mean '{found}'?" if found else ""


def shortened(text: str, longest: int) -> str:
    """``text``, or its beginning and its end where it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    end = longest // 4
    return f"{text[: longest - end]} … ({len(text):,} characters) … {text[-end:]}"
