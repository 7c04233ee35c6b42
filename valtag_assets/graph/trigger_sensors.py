"""What starts triggers by itself: files that arrive for what they read, messages that are due, receipts that came.

Both sensors are stopped by default, and only notice; a run does the work.
"""

import json

import dagster as dg

from valtag_assets.delivery.messaging import waiting_at
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.engine.persons import keyed_names
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.jobs import MESSAGES, TRIGGERS
from valtag_assets.graph.receipts import receipts_folder
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import file_state
from valtag_assets.graph.triggers import trigger_inputs

ARRIVAL_SECONDS, DUE_SECONDS = 15, 30
_UNDER_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def trigger_sensors(setting: Setting) -> list[dg.SensorDefinition]:
    """Arriving files, due messages."""
    return [_arrivals(setting), _due(setting)]


def sources_read(resolved: Resolved, tables: frozenset[str]) -> frozenset[str]:
    """The sources that the tables of tags, scores, segments, lists and clean rows rest on, and who is a person."""
    waiting, seen, found = list(tables), set[str](), set(resolved.catalog.person_sources())
    if resolved.identity is not None:
        found |= resolved.identity.fields.keys()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        stage, code = name.split("/")
        if stage in ("clean", "keyed", "lists"):
            found.add(code)
        elif stage == "tags":
            category = resolved.categories[code]
            waiting += [*keyed_names(resolved, category.sources), *(f"tags/{other}" for other in category.categories)]
        elif stage == "scores":
            waiting += [f"tags/{resolved.category_of(tag)}" for tag in resolved.scores[code].tags]
        elif stage == "segments":
            segment = resolved.segments[code]
            waiting += [f"tags/{resolved.category_of(tag)}" for tag in segment.tags]
            waiting += [f"scores/{resolved.score_of(column)}" for column in segment.scores]
            waiting += [*keyed_names(resolved, segment.facts), *(f"lists/{other}" for other in segment.lists)]
            waiting += [f"segments/{other}" for other in segment.segments]
    return frozenset(found | {item.source for code in found for item in resolved.sources[code].spec.lookups})


def _arrivals(setting: Setting) -> dg.SensorDefinition:
    """New or changed files of what triggers read: evaluate the triggers at the newest as-of, and send."""
    read = frozenset(
        name for trigger in setting.resolved.triggers.values() for name in trigger_inputs(setting, trigger)
    )
    sources = sorted(sources_read(setting.resolved, read))

    @dg.sensor(
        name="trigger_arrivals",
        job_name=TRIGGERS,
        minimum_interval_seconds=ARRIVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="触发器所读的文件到达即评估（实时） · Evaluate triggers when files they read arrive",
    )
    def trigger_arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now = {code: file_state(setting, setting.resolved.sources[code]) for code in sources}
        cursor = json.dumps(now, sort_keys=True)
        if cursor == context.cursor:
            return dg.SkipReason("no file that triggers read has changed")
        as_of = setting.last_as_of().isoformat()
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"arrival {cursor}", partition_key=as_of)], cursor=cursor
        )

    return trigger_arrivals


def _due(setting: Setting) -> dg.SensorDefinition:
    """Messages whose time has come (quiet hours over, to be tried again), and receipts that arrived."""

    @dg.sensor(
        name="due_messages",
        job_name=MESSAGES,
        minimum_interval_seconds=DUE_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="到期消息与新回执 · Messages that are due, receipts that came, messages to decide about",
    )
    def due_messages(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        under_way = dg.RunsFilter(job_name=MESSAGES, statuses=_UNDER_WAY)
        if context.instance.get_runs(filters=under_way, limit=1):
            return dg.SkipReason("a run that sends is under way")
        ledger = ledger_file(setting.warehouse)
        due: list[str] = []
        if ledger.exists():
            with Outbox.open(ledger) as outbox:
                due, unknown = waiting_at(outbox, setting.clock()), outbox.unknown().num_rows
            if unknown:
                context.log.warning(f"{unknown} messages may have been sent; valtag outbox lists them for a decision")
        files = sorted(
            f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}"
            for file in receipts_folder(setting).glob("*.jsonl")
        )
        cursor = json.dumps(files)
        if not due and cursor == (context.cursor or "[]"):
            return dg.SkipReason("nothing is due, and no receipt came")
        # Without a run key: the same messages may be due again.
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=cursor)

    return due_messages
