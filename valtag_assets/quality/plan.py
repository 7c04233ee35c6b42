"""What the tables of tags, scores and audiences must satisfy, from the catalog."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import (
    Resolved,
    ResolvedCategory,
    ResolvedLaw,
    ResolvedRfm,
    ResolvedScore,
    ResolvedSegment,
    ResolvedSource,
    ResolvedTag,
)
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.quality import queries
from valtag_assets.quality.column import (
    HIDDEN_LEVELS,
    Column,
    catalog_checks,
    in_range,
    not_after,
    one_of,
    present,
    rule_at,
    shown_of,
)
from valtag_assets.quality.expectation import BETWEEN, COMPOUND_UNIQUE, ROWS, Expectation, with_unique_names
from valtag_assets.quality.table import KEY, key_expectations, row_count, schema, size_between
from valtag_assets.spec.block import Severity, Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.types import TEXT, DataType
from valtag_assets.warehouse.snapshot import Snapshot, Verdict

PERSONS, SUCCESSORS = "identity/persons", "identity/successors"

_AT_LEAST_ZERO = ("count", "count_distinct", "days_since_first", "days_since_last")


def category_expectations(
    resolved: Resolved, category: ResolvedCategory, as_of: date, previous: Snapshot | None
) -> list[Expectation]:
    """What the staged table of ``category`` must satisfy at ``as_of``.

    Its laws may read tags of other categories: audit it with their files in ``joined``, under the keys
    ``tags/<category>``.
    """
    entry, root = resolved.catalog.categories[category.code], resolved.catalog.root
    columns = {KEY: TEXT} | {tag.code: tag.type for tag in category.tags}
    checks = entry.spec.checks
    metrics = previous.metrics if previous else {}
    found = [
        *key_expectations(entry, resolved),
        row_count(entry, resolved, checks.min_rows, checks.max_rows_drop, previous),
        *schema(entry, resolved, columns),
    ]
    for tag in category.tags:
        found.extend(_tag_expectations(resolved, tag, as_of, metrics))
    for number, law in enumerate(category.laws):
        found.append(_law(resolved, category, law, as_of, rule_at(entry, root, "laws", number)))
    return with_unique_names(found)


def population_expectations(resolved: Resolved, previous: Snapshot | None) -> list[Expectation]:
    """Each person once, none without a key, and at least half as many as before."""
    entry = resolved.catalog.sources[resolved.catalog.person_sources()[0]]
    return [*key_expectations(entry, resolved, "person"), row_count(entry, resolved, 1, 0.5, previous)]


def stranger_expectations(resolved: Resolved) -> list[Expectation]:
    """A warning for every fact with rows that belong to nobody in the population."""
    entry = resolved.catalog.sources[resolved.catalog.person_sources()[0]]
    title = Title(zh="每一行都属于总体中的人", en="every row belongs to a person of the population")
    rule = rule_at(entry, resolved.catalog.root, "person")
    return [Expectation("strangers", BETWEEN, "strangers", {"max_value": 0}, "warn", "nothing", title, rule)]


def score_expectations(resolved: Resolved, score: ResolvedRfm, previous: Snapshot | None = None) -> list[Expectation]:
    """One row per person, the known columns, scores from 1 to ``bins``, codes and tiers that exist."""
    entry, code, bins = score.entry, score.code, score.spec.bins
    found = [
        *key_expectations(entry, resolved),
        row_count(entry, resolved, 1, 1.0, previous, severity="warn"),
        *schema(entry, resolved, {KEY: TEXT, **score.columns}),
    ]
    for name, data_type in score.columns.items():
        column = score_column(resolved, score, name, data_type)
        found.append(present(column))
        if data_type.kind == "integer":
            found.append(in_range(column, 1, bins, "bins"))
        elif name == f"{code}_code":
            query, measure = queries.unmatched(name, f"^[1-{bins}]{{3}}$", [KEY])
            title = Title(zh="由 R、F、M 三个分数组成", en="is made of the three scores R, F, M")
            arguments = {"unexpected_rows_query": query}
            found.append(column.expectation("matches", ROWS, arguments, title, expected="RFM", measure=measure))
        else:
            found.append(one_of(column, tuple(score.values[name])))
    return with_unique_names(found)


def segment_expectations(
    resolved: Resolved, segment: ResolvedSegment, previous: Snapshot | None, meaning: str
) -> list[Expectation]:
    """Members are persons, each once, and about as many as before, when the rule meant the same.

    Audit with the population's files in ``joined["identity/persons"]``.
    """
    root = resolved.catalog.root
    strangers = Expectation(
        check="members",
        kind=ROWS,
        column=None,
        arguments={"unexpected_rows_query": queries.not_among(KEY, PERSONS)},
        severity="error",
        holds="table",
        title=Title(zh="成员都在人群总体中", en="every member is a person of the population"),
        rule=rule_at(segment.entry, root),
        expected=PERSONS,
    )
    alike = previous is not None and previous.metrics.get("meaning") == meaning
    size = size_between(segment.entry, root, segment.spec.size, previous if alike else None)
    return [*key_expectations(segment.entry, resolved), strangers, size]


def trigger_expectations(resolved: Resolved, trigger: ResolvedTrigger) -> list[Expectation]:
    """A person, and each of a person's entries once. Where ids may come and go, of nobody whose id went to somebody
    else: audit with ``joined["identity/successors"]``."""
    present_key, _ = key_expectations(trigger.entry, resolved)
    linked = resolved.identity is not None
    once = Expectation(
        check="entries",
        kind=COMPOUND_UNIQUE,
        column=None,
        arguments={
            "column_list": ["entered_as" if linked else KEY, "entry"],
            "ignore_row_if": "any_value_is_missing",
        },
        severity="error",
        holds="table",
        title=Title(zh="每人每次进入一行", en="each entry of a person once"),
        rule=rule_at(trigger.entry, resolved.catalog.root),
        shows=shown_of([resolved.catalog.project.persons.access]),
    )
    return [present_key, once, *([_no_orphans(resolved, trigger.entry)] if linked else [])]


def _no_orphans(resolved: Resolved, entry: Entry[Any]) -> Expectation:
    """Nobody stands in the table under an id that went to somebody else."""
    return Expectation(
        check="orphans",
        kind=ROWS,
        column=None,
        arguments={"unexpected_rows_query": queries.given_away(KEY, SUCCESSORS)},
        severity="error",
        holds="table",
        title=Title(zh="没有已并入他人的编号", en="no id that went to somebody else"),
        rule=rule_at(entry, resolved.catalog.root),
        expected=SUCCESSORS,
    )


def list_expectations(resolved: Resolved, source: ResolvedSource) -> list[Expectation]:
    """Persons, each once; how many ids of the list are nobody's is said by ``unmatched_verdict``."""
    return key_expectations(source.entry, resolved)


def unmatched_verdict(resolved: Resolved, source: ResolvedSource, ids: int, unmatched: int) -> Verdict:
    """A warning when some of the ``ids`` of an uploaded list are nobody's."""
    detail: dict[str, Any] = {
        "title": {"zh": "名单中的每个编号都是总体中的人", "en": "every id of the list is a person of the population"},
        "rule": rule_at(source.entry, resolved.catalog.root, "person"),
        "observed": unmatched,
        "expected": 0,
        "sample": [],
    }
    return Verdict("unmatched", None, "warn", unmatched == 0, "nothing", unmatched, ids, detail)


def _tag_expectations(
    resolved: Resolved, tag: ResolvedTag, as_of: date, metrics: Mapping[str, Any]
) -> Iterator[Expectation]:
    spec = tag.spec
    column = Column(
        tag.code,
        tag.type,
        tag.title,
        KEY,
        "tag",
        shown_of([spec.access]),
        tag.entry,
        (),
        resolved.catalog.root,
        metrics,
    )
    if spec.empty is not None:
        yield present(column, "empty")
    if tag.values is not None:
        extra = () if spec.empty is None else (str(spec.empty),)
        yield one_of(column, tuple(dict.fromkeys((*tag.values, *extra))), "domain", "values")
    if tag.type.numeric:
        low, high = _bounds(tag)
        if low is not None or high is not None or tag.type.kind == "float":
            yield in_range(column, low, high, "domain")
    if tag.type.temporal and tag.kind != "computed":
        yield not_after(column, as_of, _severity_of_future(resolved, tag), "value")
    yield from catalog_checks(column, spec.checks)


def _bounds(tag: ResolvedTag) -> tuple[float | None, float | None]:
    """The declared range; what is counted is at least 0 and a share at most 1, declared or not."""
    low, high = tag.spec.domain.min, tag.spec.domain.max
    agg = tag.aggregate.agg if tag.aggregate else None
    if low is None and agg in (*_AT_LEAST_ZERO, "share"):
        low = 0
    if high is None and agg == "share":
        high = 1
    return low, high


def _severity_of_future(resolved: Resolved, tag: ResolvedTag) -> Severity:
    """Times an event happened lie before the as-of by construction: later is an error.

    Any other date may be meant to lie ahead (a membership's end), so it only warns; a law says otherwise
    (``registered_date <= as_of()``).
    """
    if tag.aggregate is None or tag.aggregate.of is None:
        return "warn"
    time = resolved.sources[tag.aggregate.fact].spec.time
    return "error" if names_read(tag.aggregate.of) == {time} else "warn"


def _law(resolved: Resolved, category: ResolvedCategory, law: ResolvedLaw, as_of: date, rule: str) -> Expectation:
    """A failed law holds every tag of this category it reads: it can't tell which of them is wrong."""
    own = {tag.code: tag.type for tag in category.tags if tag.code in law.tags}
    others: dict[str, dict[str, DataType]] = {}
    for code in sorted(law.tags - own.keys()):
        others.setdefault(f"tags/{resolved.category_of(code)}", {})[code] = resolved.tags[code].type
    shows = shown_of(resolved.tags[code].spec.access for code in law.tags)
    query, measure = queries.law_broken(law.node, as_of, KEY, own, others, () if shows == "nothing" else law.tags)
    return Expectation(
        check=f"law.{law.name}",
        kind=ROWS,
        column=None,
        arguments={"unexpected_rows_query": query},
        severity=law.severity,
        holds="tag" if law.severity == "error" else "nothing",
        title=Title(zh=f"规律：{law.text}", en=f"law: {law.text}"),
        rule=rule,
        columns=tuple(sorted(own)),
        expected=law.text,
        measure=measure,
        shows=shows,
    )


def score_column(
    resolved: Resolved,
    score: ResolvedScore,
    name: str,
    data_type: DataType,
    previous: Mapping[str, Any] | None = None,
) -> Column:
    """A column of a model under audit, with the metrics of the ``previous`` snapshot if it is compared."""
    title = Title(zh=f"{score.spec.title.zh} {name}", en=f"{score.spec.title.en} {name}")
    root, shows = resolved.catalog.root, shown_of(resolved.tags[code].spec.access for code in score.tags)
    return Column(name, data_type, title, KEY, "table", shows, score.entry, (), root, previous or {})


def private_columns(resolved: Resolved, score: ResolvedScore) -> frozenset[str]:
    """The columns of a score of which no value may stand in a figure or a sample: all, where a tag of it may not."""
    hidden = any(resolved.tags[code].spec.access in HIDDEN_LEVELS for code in score.tags)
    return frozenset({KEY, *(score.columns if hidden else ())})
