"""Proposals against data: what each would hold, whether it says anything new, what it would cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from valtag_assets.expression.resolved import Resolved
from valtag_assets.quality.column import HIDDEN_LEVELS
from valtag_assets.wizard.cost import Cost, costs
from valtag_assets.wizard.distribution import Bar, bars, coverage_of, distinct_of
from valtag_assets.wizard.drafting import trial
from valtag_assets.wizard.making import Proposal
from valtag_assets.wizard.meanings import Meanings
from valtag_assets.wizard.outcome import History, Separation, separations
from valtag_assets.wizard.redundancy import Likeness
from valtag_assets.wizard.sample import Sample

# From here on even recency, frequency and money say the same.
_SAME = 0.999
# Below such a coverage its fall says nothing.
_CHECKED = 0.3


@dataclass(frozen=True)
class Judged:
    """One column of a proposal on the sample. ``nearest``: the tag most like it, and how closely."""

    column: str
    coverage: float
    distinct: int
    bars: Sequence[Bar]
    nearest: tuple[str, float] | None
    separation: Separation | None
    cost: Cost


@dataclass(frozen=True)
class Chosen:
    """The proposals that are worth a tag, why the other columns are not, and the values of all of them."""

    kept: Sequence[Proposal]
    dropped: Mapping[str, str]
    values: Mapping[str, pa.ChunkedArray]


def judge(
    sample: Sample,
    resolved: Resolved,
    columns: Sequence[str],
    past: History | None,
    values: Mapping[str, pa.ChunkedArray],
) -> list[Judged]:
    """Every one of ``columns`` of ``resolved``, the catalog with the proposals in it; ``values`` are theirs."""
    like = Likeness(sample, resolved, {column: values[column] for column in columns})
    told = dict(separations(sample, resolved, list(columns), past)) if past is not None else {}
    spent = costs(sample, resolved, columns)
    found = []
    for column in columns:
        kind, column_values = resolved.tags[column].type, values[column]
        found.append(
            Judged(
                column=column,
                coverage=coverage_of(column_values),
                distinct=distinct_of(column_values),
                bars=bars(column_values, kind),
                nearest=like.nearest(column),
                separation=told.get(column),
                cost=spent[column],
            )
        )
    return found


def choose(sample: Sample, resolved: Resolved, proposals: Sequence[Proposal]) -> Chosen:
    """Leave out what the catalog says already, what hardly anybody has (``insight.least_coverage`` of project.yaml),
    what is the same for all, and what goes so closely with a tag before it that it says the same
    (``insight.redundant``)."""
    dropped: dict[str, str] = {}
    new = without_twins(resolved, proposals, dropped)
    made = trial(resolved, new)
    values = sample.values(made, columns_of_all(new))
    like, insight = Likeness(sample, made, values), resolved.catalog.project.insight
    standing, doubts = set(resolved.tags), dict[str, str]()
    for proposal in new:
        columns = list(proposal.columns.values())

        def against(code: str, value: float, proposal: Proposal = proposal, own: list[str] = columns) -> bool:
            least = _SAME if proposal.vital and code not in own else insight.redundant
            return code in standing and value >= least

        for column in columns:
            said = like.verdict(column, against)
            why = _empty(values[column], insight.least_coverage) or (said.why if said and said.redundant else None)
            if why is None:
                standing.add(column)
                if said is not None:
                    doubts[column] = said.why
                continue
            dropped[column] = why
            if said is not None and said.near in resolved.tags and column == columns[0]:
                # Its other windows would be windows of the tag that is there.
                dropped |= dict.fromkeys(columns[1:], f"{said.near} says this; give that one the window")
                break
    kept = [_doubted(checked(proposal, values), doubts) for proposal in _without(resolved, new, dropped)]
    return Chosen(kept, dropped, values)


def _doubted(proposal: Proposal, doubts: Mapping[str, str]) -> Proposal:
    """The proposal with what could not be told of it for want of persons."""
    found = [doubts[column] for column in proposal.columns.values() if column in doubts]
    return replace(proposal, reason="; ".join((proposal.reason, *found[:1])))


def without_twins(resolved: Resolved, proposals: Sequence[Proposal], dropped: dict[str, str]) -> list[Proposal]:
    """The proposals without the columns that mean exactly what another does, which are told in ``dropped``."""
    kept = list(proposals)
    made = trial(resolved, kept)
    new = {column: place for place, column in enumerate(columns_of_all(kept))}
    known, before = Meanings(made), Meanings(resolved)
    for column, place in new.items():
        twin = known.twin(column)
        if twin is not None and new.get(twin, -1) < place:
            dropped[column] = f"{twin} says exactly this"
            continue
        wider = before.wider(made.tags[column])
        if wider is not None:
            dropped[column] = f"{wider} says this over other windows; give that one the window"
    return _without(resolved, kept, dropped)


def _without(resolved: Resolved, proposals: Sequence[Proposal], dropped: dict[str, str]) -> list[Proposal]:
    """The proposals without the ``dropped`` columns, and without what rests on one."""
    kept: list[Proposal] = []
    standing = set(resolved.tags)
    for proposal in proposals:
        lost = [name for name in proposal.rests_on if name not in standing]
        if lost:
            dropped.update(dict.fromkeys(proposal.columns.values(), f"rests on {', '.join(lost)}, which is left out"))
            continue
        windows = [window for window, column in proposal.columns.items() if column not in dropped]
        if windows:
            whole = "windows" not in proposal.tag
            made = proposal if whole else proposal.but(windows=windows if windows != ["all"] else None)
            kept.append(made)
            standing |= set(made.columns.values())
    return kept


def _empty(values: pa.ChunkedArray, least: float) -> str | None:
    coverage, distinct = coverage_of(values), distinct_of(values)
    if coverage < least:
        return f"{coverage:.1%} of the persons have a value, fewer than {least:.0%} (insight.least_coverage)"
    return "all persons with a value have the same one" if distinct < 2 else None


def checked(proposal: Proposal, values: Mapping[str, pa.ChunkedArray]) -> Proposal:
    """With the checks that its data suggest, all of them warnings: half of the coverage seen, half of the mean or
    twice of it (of money), and another mix of the tiers (of a band)."""
    proposal = _within_its_data(proposal, values)
    coverage = coverage_of(values[next(iter(proposal.columns.values()))])
    checks: list[dict[str, Any]] = []
    if "empty" not in proposal.tag and coverage >= _CHECKED:
        checks.append({"coverage": math.floor(coverage * 10) / 20})
    if proposal.tag.get("access") not in HIDDEN_LEVELS:
        checks += [{"mean_change": 0.5}] if _is_money(proposal) else []
        checks += [{"stability": 0.25}] if "band" in proposal.tag else []
    return proposal.but(checks=[{**check, "severity": "warn"} for check in checks]) if checks else proposal


def _is_money(proposal: Proposal) -> bool:
    value = proposal.tag.get("value")
    return isinstance(value, Mapping) and value.get("agg") == "sum" and proposal.tag["type"].startswith("decimal")


def _within_its_data(proposal: Proposal, values: Mapping[str, pa.ChunkedArray]) -> Proposal:
    """Without the ends of its domain that data break, as a birth date in the future does: the tag would be held from
    the first day on. The reason says how many."""
    domain = dict(proposal.tag.get("domain", {}))
    known = [values[column].drop_null() for column in proposal.columns.values()]
    for end, beyond in (("min", pc.less), ("max", pc.greater)):
        if end in domain:
            limit = domain[end]
            broken = sum(int(pc.sum(beyond(column, limit)).as_py() or 0) for column in known)
            if broken:
                del domain[end]
                why = f"{proposal.reason}; no {end} in its domain: {broken} values lie beyond {limit}"
                proposal = replace(proposal.but(domain=domain or None), reason=why)
    return proposal


def columns_of_all(proposals: Sequence[Proposal]) -> list[str]:
    """The columns of all proposals, in their order."""
    return [column for proposal in proposals for column in proposal.columns.values()]
