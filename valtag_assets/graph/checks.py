"""Verdicts as Dagster asset checks: one per tag or field, one per check of the whole table, one for the inputs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from valtag_assets.graph.gates import Gate
from valtag_assets.quality.expectation import Expectation
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict

INPUTS = "inputs"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")


def check_name(check: str, column: str | None) -> str:
    """The asset check a verdict belongs to: its column's, or its own when it is about the whole table."""
    return _NOT_IN_A_NAME.sub("_", column if column is not None else check)


def check_specs(
    key: dg.AssetKey,
    planned: Callable[[Snapshot | None], Iterable[Expectation]],
    columns: Mapping[str, DataType],
    verdicts: Iterable[Verdict] = (),
) -> list[dg.AssetCheckSpec]:
    """Every asset check a table may get, known before it is computed. Checks of the whole table block.

    ``planned`` gives the expectations for a previous snapshot; some exist only when there is one to compare
    with. ``verdicts`` stand for the checks that are no expectations on rows.
    """
    specs = {
        INPUTS: dg.AssetCheckSpec(
            INPUTS,
            asset=key,
            blocking=True,
            description="输入可用：没有被拒绝或暂停的上游 · Inputs may be read: none refused or held",
        )
    }
    said: dict[str, list[str]] = {}
    blocking: set[str] = set()
    always = {item.check: item for item in planned(None)}
    for item in [*always.values(), *planned(_something_to_compare_with(columns))]:
        text = f"{item.title.zh} · {item.title.en} ({item.rule})"
        if item.check not in always:
            text = f"{item.check}：与上次快照比较 · compared with the previous snapshot ({item.rule})"
        for column in item.judged:
            name = check_name(item.check, column)
            texts = said.setdefault(name, [])
            texts += [] if any(item.rule in known for known in texts) else [text]
            blocking |= {name} if item.holds == "table" else set()
    for verdict in verdicts:
        name = check_name(verdict.check, verdict.column)
        said.setdefault(name, []).append(f"{_both(verdict.detail['title'])} ({verdict.detail['rule']})")
        blocking |= {name} if verdict.holds == "table" else set()
    for name, texts in said.items():
        specs[name] = dg.AssetCheckSpec(name, asset=key, blocking=name in blocking, description="\n\n".join(texts))
    return list(specs.values())


def gate_result(gate: Gate, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Whether the inputs of the asset ``key`` may be read, with the reason for each that may not."""
    return dg.AssetCheckResult(
        asset_key=key,  # where a result does not say it, Dagster works the whole result out twice
        check_name=INPUTS,
        passed=gate.open,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(gate.faults) or None,
        metadata={
            "inputs": {table: snapshot.id for table, snapshot in gate.snapshots.items()},
            **({"held tags": ", ".join(sorted(gate.held))} if gate.held else {}),
        },
    )


def _something_to_compare_with(columns: Mapping[str, DataType]) -> Snapshot:
    """A made-up snapshot with which every comparing check is planned; only the checks' names are used."""
    numbers = {"edges": [0.0, 1.0], "counts": [1, 1, 1]}
    seen = {
        name: {"coverage": 1.0, "mean": 1.0, "histogram": numbers if kind.numeric else {"values": [], "counts": [1]}}
        for name, kind in columns.items()
    }
    return Snapshot(
        table=TableRef("made", "up"),
        id="",
        as_of=None,
        known_at=datetime.min,
        rows=1,
        columns=(),
        content_hash="",
        input_hash="",
        catalog_hash="",
        run_id="",
        data_until=None,
        inputs={},
        verdicts=(),
        metrics={"profile": {"columns": seen}},
        files=(),
    )


def check_results(
    verdicts: Sequence[Verdict], names: Iterable[str], key: dg.AssetKey
) -> Iterator[dg.AssetCheckResult]:
    """The verdicts, gathered into the checks called ``names`` of the asset ``key``; those without one have nothing to
    say yet."""
    groups: dict[str, list[Verdict]] = {name: [] for name in names if name != INPUTS}
    for verdict in verdicts:
        groups.setdefault(check_name(verdict.check, verdict.column), []).append(verdict)
    for name, members in groups.items():
        yield _result(key, name, members)


def _result(key: dg.AssetKey, name: str, verdicts: Sequence[Verdict]) -> dg.AssetCheckResult:
    if not verdicts:
        said = "nothing to compare with yet"
        return dg.AssetCheckResult(asset_key=key, check_name=name, passed=True, description=said)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    errors = [verdict for verdict in failed if verdict.severity == "error"]
    severity = dg.AssetCheckSeverity.WARN if failed and not errors else dg.AssetCheckSeverity.ERROR
    unexpected = [verdict.unexpected for verdict in verdicts if verdict.unexpected is not None]
    metadata: dict[str, Any] = {"checks": dg.MetadataValue.table(_rows(verdicts))}
    if unexpected:
        metadata["unexpected_count"] = sum(unexpected)
    samples = [str(key) for verdict in failed for key in verdict.detail.get("sample", [])]
    if samples:
        metadata["sample (masked)"] = ", ".join(samples[:5])
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not failed,
        severity=severity,
        description="; ".join(f"{verdict.check}: {_seen(verdict)}" for verdict in failed) or None,
        metadata=metadata,
    )


def _rows(verdicts: Sequence[Verdict]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "check": verdict.check,
                "expected": _both(verdict.detail.get("title")),
                "result": "passed" if verdict.passed else verdict.severity,
                "unexpected": -1 if verdict.unexpected is None else verdict.unexpected,
                "evaluated": -1 if verdict.evaluated is None else verdict.evaluated,
                "rule": str(verdict.detail.get("rule", "")),
            }
        )
        for verdict in verdicts
    ]


def _both(title: object) -> str:
    return f"{title.get('zh', '')} · {title.get('en', '')}" if isinstance(title, dict) else ""


def _seen(verdict: Verdict) -> str:
    if "error" in verdict.detail:
        return f"could not be evaluated ({verdict.detail['error']})"
    if verdict.unexpected is not None:
        return f"{verdict.unexpected} of {verdict.evaluated} unexpected"
    return f"observed {verdict.detail.get('observed')}"
