"""The plan of one field's cleaning: columns added in stages, and the rules that may refuse a row.

A stage is one SELECT over the one before, shared by all fields, so that no value is worked out twice and the
text of a big table is parsed once. The steps of a field need not use every stage.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import field as default
from typing import Literal, get_args

from ibis.expr.types import BooleanValue, Table, Value

from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Field

Stage = Literal[
    "text", "missing", "rewrite", "code", "parse", "rest", "zone", "local", "factor", "unit", "bounds", "outlier"
]
STAGES: tuple[Stage, ...] = get_args(Stage)
Build = Callable[[Table], Value]


@dataclass(frozen=True)
class Rule:
    """Why a row or a value may be refused; ``flag`` is true where ``action`` is what happens to it."""

    name: str
    column: str | None
    action: Literal["quarantine", "repair", "drop"]
    reason: Title
    flag: Callable[[Table], BooleanValue]


@dataclass
class FieldPlan:
    """The cleaning of one field. ``column`` is where its value is by now, in the staged table."""

    field: Field
    column: str
    steps: list[tuple[Stage, str, Build]] = default(default_factory=list)
    rules: list[Rule] = default(default_factory=list)
    columns_before: dict[Stage, str] = default(default_factory=dict)
    inside: Build | None = None  # the value, null where a bound refuses its row

    def add(self, stage: Stage, build: Build) -> None:
        """One more step of the field: the column that ``build`` gives is its value from now on."""
        self.columns_before[stage] = self.column
        self.column = self.add_aside(stage, build)

    def add_aside(self, stage: Stage, build: Build) -> str:
        """A column beside the value; its name."""
        name = f"_{stage}_{self.field.name}"
        self.steps.append((stage, name, build))
        return name

    def add_rule(self, kind: str, otherwise: str, reason: Title, flag: Callable[[Table], BooleanValue]) -> None:
        action: Literal["quarantine", "repair"] = "quarantine" if otherwise == "quarantine" else "repair"
        self.rules.append(Rule(f"{self.field.name}.{kind}", self.field.name, action, reason, flag))

    def also_invalid(self, flag: Callable[[Table], BooleanValue]) -> None:
        """One more way for the value to be invalid, found after it was parsed."""
        number, known = next(item for item in enumerate(self.rules) if item[1].name.endswith(".invalid"))
        self.rules[number] = replace(known, flag=lambda t: known.flag(t) | flag(t))

    def column_at(self, stage: Stage) -> str:
        """The field's value as ``stage`` finds it."""
        for later in STAGES[STAGES.index(stage) :]:
            if later in self.columns_before:
                return self.columns_before[later]
        return self.column
