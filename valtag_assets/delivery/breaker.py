"""The circuit breaker of a delivery: what must hold before the first message, and what came of all of them."""

from collections.abc import Mapping
from typing import Any

from valtag_assets.delivery.sync import Difference
from valtag_assets.expression.resolved_delivery import ResolvedDelivery
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import Verdict

NOTHING = Difference(0, 0, 0, 0, 0, 0, 0, 0, {}, {})


def before_sending(
    delivery: ResolvedDelivery, found: Difference, coverage: Mapping[str, float], *, confirmed: bool = False
) -> list[Verdict]:
    """Whether the difference may be sent. ``coverage``: that of the last delivery, by field.

    ``confirmed``: somebody has seen that the audience really changed so much. That lets nobody through whom an
    exclusion names.
    """
    spec = delivery.spec
    large = max(found.held, found.desired) >= spec.jump_from
    smaller, larger = sorted((found.held, found.desired))
    jumped = bool(found.held and spec.jump and large and larger > spec.jump * smaller)
    share = found.remove / found.held if found.held else 0.0
    leaving = large and share > spec.max_delete_share
    drops = {name: coverage[name] - now for name, now in found.coverage.items() if name in coverage and found.desired}
    fell = {name: drop for name, drop in drops.items() if drop > spec.max_coverage_drop}
    return [
        _verdict(
            delivery,
            "size_jump",
            Title(zh="人群规模未突变", en="the audience is about as large as what the destination holds"),
            confirmed or not jumped,
            {"observed": f"{found.desired} against {found.held}", "expected": f"a factor of at most {spec.jump:g}"},
        ),
        _verdict(
            delivery,
            "mass_exit",
            Title(zh="未大批移出", en="not too many of those held there are removed"),
            confirmed or not leaving,
            {"observed": f"{share:.1%}", "expected": f"at most {spec.max_delete_share:.0%}"},
            unexpected=found.remove,
            evaluated=found.held,
        ),
        _verdict(
            delivery,
            "coverage_drop",
            Title(zh="随行字段覆盖率未骤降", en="what travels is about as well covered as last time"),
            confirmed or not fell,
            {
                "observed": ", ".join(f"{name} −{drop:.0%}" for name, drop in sorted(fell.items())) or "no drop",
                "expected": f"at most −{spec.max_coverage_drop:.0%}",
            },
        ),
        _verdict(
            delivery,
            "suppression_leak",
            Title(zh="不含被排除者", en="nobody whom the project excludes is sent"),
            not found.leaks,
            {"observed": ", ".join(sorted(found.leaks)) or "nobody", "expected": "nobody"},
            unexpected=sum(found.leaks.values()),
            evaluated=found.desired,
        ),
    ]


def after_sending(delivery: ResolvedDelivery, states: Mapping[str, int], halted: str) -> list[Verdict]:
    """What came of the messages, ``states`` of them by state; ``halted``: why nothing could be sent at all."""
    most = delivery.destination.spec.max_reject_share
    refused = sum(states.get(name, 0) for name in ("rejected", "dead"))
    settled = refused + sum(states.get(name, 0) for name in ("acknowledged", "sent"))
    share = refused / settled if settled else 0.0
    open_ones = sum(states.get(name, 0) for name in ("pending", "claimed", "unknown"))
    return [
        _verdict(
            delivery,
            "destination_ready",
            Title(zh="目的地可用", en="the destination is set up rightly"),
            not halted,
            {"observed": halted or "ready", "expected": "ready"},
        ),
        _verdict(
            delivery,
            "rejects",
            Title(zh="被拒绝的比例", en="not too many messages are refused"),
            share <= most,
            {"observed": f"{share:.1%}", "expected": f"at most {most:.0%}"},
            unexpected=refused,
            evaluated=settled,
        ),
        _verdict(
            delivery,
            "complete",
            Title(zh="全部有结果", en="every message has come to an end"),
            not open_ones,
            {"observed": f"{open_ones} open", "expected": "none"},
            unexpected=open_ones,
            evaluated=sum(states.values()),
            severity="warn",
        ),
    ]


def _verdict(
    delivery: ResolvedDelivery,
    check: str,
    title: Title,
    passed: bool,
    said: Mapping[str, Any],
    *,
    unexpected: int | None = None,
    evaluated: int | None = None,
    severity: Any = "error",
) -> Verdict:
    at = delivery.entry.problem("", "code")
    detail = {"title": {"zh": title.zh, "en": title.en}, "rule": f"deliveries/{at.file.name}:{at.line}", **said}
    holds: Any = "table" if severity == "error" else "nothing"
    return Verdict(check, None, severity, passed, holds, unexpected, evaluated, {**detail, "sample": []})
