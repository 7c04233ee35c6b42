"""Verdicts as Dagster asset checks: one per tag or field, one per check of the whole table, one for the inputs."""

import re
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from valtag_assets.graph.gates import Gate
from valtag_assets.quality.expectation import Expectation
from valtag_assets.warehouse.snapshot import Verdict

INPUTS = "inputs"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")


def check_name(check: str, column: str | None) -> str:
    """The asset check a verdict belongs to: its column's, or its own when it is about the whole table."""
    return _NOT_IN_A_NAME.sub("_", column if column is not None else check)


def check_specs(key: dg.AssetKey, expectations: Iterable[Expectation]) -> list[dg.AssetCheckSpec]:
    """Every asset check of a table, known before it is computed. Checks of the whole table block."""
    specs = {
        INPUTS: dg.AssetCheckSpec(
            INPUTS, asset=key, blocking=True, description="输入可用：没有被拒绝或暂停的上游 · Inputs may be read: none refused or held"
        )
    }
    for item in expectations:
        name = check_name(item.check, item.column)
        whole = item.column is None
        says = f"{item.title.zh} · {item.title.en} ({item.rule})"
        known = specs.get(name)
        description = says if known is None else f"{known.description}\n{says}"
        specs[name] = dg.AssetCheckSpec(
            name,
            asset=key,
            blocking=(known.blocking if known else False) or item.holds == "table",
            description=description,
            metadata={"table check": whole},
        )
    return list(specs.values())


def gate_result(gate: Gate) -> dg.AssetCheckResult:
    """Whether the inputs may be read, with the reason for each that may not."""
    return dg.AssetCheckResult(
        check_name=INPUTS,
        passed=gate.open,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(gate.faults) or None,
        metadata={
            "inputs": {table: snapshot.id for table, snapshot in gate.snapshots.items()},
            **({"held tags": ", ".join(sorted(gate.held))} if gate.held else {}),
        },
    )


def check_results(verdicts: Sequence[Verdict]) -> Iterator[dg.AssetCheckResult]:
    """The verdicts, gathered into the asset checks of ``check_specs``."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(check_name(verdict.check, verdict.column), []).append(verdict)
    for name, members in groups.items():
        yield _result(name, members)


def _result(name: str, verdicts: Sequence[Verdict]) -> dg.AssetCheckResult:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    errors = [verdict for verdict in failed if verdict.severity == "error"]
    severity = dg.AssetCheckSeverity.WARN if failed and not errors else dg.AssetCheckSeverity.ERROR
    unexpected = [verdict.unexpected for verdict in verdicts if verdict.unexpected is not None]
    metadata: dict[str, object] = {"checks": dg.MetadataValue.table(_rows(verdicts))}
    if unexpected:
        metadata["unexpected_count"] = sum(unexpected)
    samples = [str(key) for verdict in failed for key in verdict.detail.get("sample", [])]
    if samples:
        metadata["sample (masked)"] = ", ".join(samples[:5])
    return dg.AssetCheckResult(
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
