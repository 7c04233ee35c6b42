"""What triggers are judged by, resolved: the conversion's fact and expressions met and typed."""

from collections.abc import Mapping
from dataclasses import replace

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolved import ResolvedTag, RuleScope
from valtag_assets.expression.resolved_delivery import ResolvedEffect, ResolvedTrigger
from valtag_assets.expression.tree import Node
from valtag_assets.spec.catalog import Catalog
from valtag_assets.spec.effect import Effect
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.types import BOOLEAN

_NUMERIC = ("integer", "decimal", "float")


def with_effect(
    catalog: Catalog,
    trigger: ResolvedTrigger,
    tags: Mapping[str, ResolvedTag],
    scope: RuleScope,
    problems: list[Problem],
) -> ResolvedTrigger:
    """``trigger`` with its own effect or the project's, and the columns kept for it. Mistakes go to ``problems``."""
    spec = trigger.spec.effect or catalog.project.effect
    if spec is None:
        return trigger
    faults: list[tuple[str, tuple[str | int, ...]]] = []
    found = _resolved(spec, tags, scope, faults)
    # Of the project's effect, too: which trigger it does not fit is told where the trigger stands.
    own = trigger.spec.effect is not None
    problems.extend(
        trigger.entry.problem(said if own else f"project.yaml: effect: {said}", *(("effect", *place) if own else ()))
        for said, place in faults
    )
    if found is None or faults:
        return trigger
    known = {symbol.code: symbol.type for symbol in scope.columns}
    kept = [*([spec.adjust] if spec.adjust is not None else []), *spec.keep]
    columns = {code: known[code] for code in sorted({*trigger.columns, *kept})}
    return replace(trigger, effect=found, columns=columns)


def _resolved(
    spec: Effect,
    tags: Mapping[str, ResolvedTag],
    scope: RuleScope,
    faults: list[tuple[str, tuple[str | int, ...]]],
) -> ResolvedEffect | None:
    facts = scope.facts
    if spec.fact not in facts:
        faults.append((f"'{spec.fact}' is no fact{did_you_mean(spec.fact, list(facts))}", ("fact",)))
        return None
    own = scope.sources[spec.fact].scope
    where: Node | None = None
    value: Node | None = None
    try:
        where = parse(spec.where, own, expect=BOOLEAN) if spec.where is not None else None
    except ExpressionError as error:
        faults.append((str(error), ("where",)))
    try:
        value = parse(spec.value, own) if spec.value is not None else None
        if value is not None and (value.type is None or value.type.kind not in _NUMERIC):
            faults.append((f"'{spec.value}' is no number", ("value",)))
    except ExpressionError as error:
        faults.append((str(error), ("value",)))
    known = {symbol.code: symbol.type for symbol in scope.columns}
    wanted: list[tuple[str, tuple[str | int, ...]]] = [(code, ("keep", n)) for n, code in enumerate(spec.keep)]
    if spec.adjust is not None:
        wanted.append((spec.adjust, ("adjust",)))
        if spec.adjust in known and known[spec.adjust].kind not in _NUMERIC:
            faults.append((f"'{spec.adjust}' is no number", ("adjust",)))
    for code, place in wanted:
        if code not in known:
            faults.append((f"'{code}' is no tag or score{did_you_mean(code, list(known))}", place))
        elif code in tags and tags[code].spec.access == "pii":
            faults.append((f"'{code}' is personal, and is never kept with a trigger", place))
    said = [None if node is None else meaning(node) for node in (where, value)]
    meant = repr((spec.fact, said, spec.within, spec.adjust, sorted(spec.keep)))
    return ResolvedEffect(spec, where, value, meant)
