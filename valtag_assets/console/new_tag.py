"""``valtag new tag``: the questions it asks, and what it shows before a tag is written."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from valtag_assets.console.doors import counting
from valtag_assets.console.screen import count, share, table
from valtag_assets.engine.access import Need, field_needs, joined
from valtag_assets.engine.reader import FEWEST_TOLD, Reader
from valtag_assets.engine.usefulness import expected_score
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.origins import source_columns
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.setting import Setting
from valtag_assets.spec.access import Asking
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.tag_text import tag_text
from valtag_assets.wizard.judging import Cost, Judged
from valtag_assets.wizard.making import Proposal
from valtag_assets.wizard.one import AGGREGATIONS, OF_MASTERS, Wish, propose_one, source_of, usual_agg
from valtag_assets.wizard.outcome import Separation, to_json
from valtag_assets.wizard.proposing import Answer, Question, answer

Ask = Callable[[str, str], str]  # (question, default) → what was answered
_WIDTH = 32
_REASONS = 12


def tried(setting: Setting, question: Question, by: Asking) -> tuple[Answer, Reader]:
    """The answer on everybody's data as far as it is for who asks, and who that is. Denied for who may not preview,
    or reads some brands alone."""
    with counting(setting, "preview", "a new tag", by) as visit:
        found = _for_reader(answer(setting, question), visit.reader)
        visit.tags = found.columns
    return found, visit.reader


def _for_reader(found: Answer, reader: Reader) -> Answer:
    """What may be told of it: of what the reader may not read, counts where many have a value, and to a role of
    rights nothing. Denied for such a role, and for an outcome that reads what the reader may not."""
    resolved = found.draft.resolved
    if found.past is not None:
        outcome = found.past.outcome
        fields = field_needs(resolved, resolved.sources[outcome.fact])
        read = names_read(outcome.where) if outcome.where is not None else ()
        reader.require_asked(Need("public", sources=frozenset({outcome.fact})), "the outcome")
        for name in read:
            reader.require(fields[name], "what the outcome reads")
    judged = dict(found.judged)
    for proposal in found.proposals:
        need = _need(found, proposal)
        reader.require_asked(need, f"what {proposal.code} reads")
        for column in proposal.columns.values():
            known = judged.get(column)
            few = known is not None and round(known.coverage * (found.persons or 0)) < FEWEST_TOLD
            if few and not reader.may(need):
                del judged[column]
    return replace(found, judged=judged)


def ask_wish(setting: Setting, wish: Wish, ask: Ask) -> Wish:
    """Ask for what ``wish`` leaves open; defaults follow from the field. A wrong answer raises Mistake."""
    resolved = setting.resolved
    field = wish.field or ask("field 字段, as source.field", _first_field(resolved))
    source, _ = source_of(resolved, field)
    agg = wish.agg
    if agg is None:
        known = AGGREGATIONS if source.spec.kind == "fact" else OF_MASTERS
        agg = ask(f"aggregation 聚合 ({', '.join(known)})", usual_agg(resolved, field))
    windows, where = wish.windows, wish.where
    if source.spec.kind == "fact" and not windows:
        windows = tuple(
            part.strip() for part in ask("windows 时间窗 (all, 30d, mtd, …)", "all").split(",") if part.strip()
        )
    if source.spec.kind == "fact" and where is None:
        where = ask("only rows where 条件 (empty: all)", "").strip() or None
    wish = replace(wish, field=field, agg=agg, windows=windows, where=where)
    made = propose_one(resolved, wish)
    code = wish.code or ask("code 编码", made.code)
    return replace(
        wish,
        code=code if code != made.code else None,
        zh=wish.zh or ask("中文名", made.tag["title"]["zh"]),
        en=wish.en or ask("English title", made.tag["title"]["en"]),
        category=wish.category or ask("category 类目", made.category),
    )


def _first_field(resolved: Resolved) -> str:
    """A field to begin with: the first that adds up, of the first fact."""
    for code, source in resolved.sources.items():
        if source.spec.kind == "fact":
            numeric = (name for name, kind in source.columns.items() if kind.kind == "decimal")
            return ".".join(filter(None, (code, next(numeric, None))))
    raise Mistake("the catalog has no fact; name a field of a master")


def to_data(found: Answer, reader: Reader, written: Sequence[Path]) -> dict[str, Any]:
    """Plain data for programs."""
    return {
        "as_of": found.as_of,
        "persons": found.persons,
        "population": found.population,
        "unseen": found.unseen,
        "outcome": None if found.past is None else {"text": found.past.outcome.text, "as_of": found.past.at},
        "unjudged": found.unjudged,
        "tags": [_tag_data(found, proposal, reader) for proposal in found.proposals],
        "laws": [{"category": law.category, **law.block} for law in found.laws],
        "dropped": dict(found.dropped),
        "skipped": dict(found.skipped),
        "files": [str(change.file) for change in found.draft.changes],
        "written": [str(path) for path in written],
    }


def _tag_data(found: Answer, proposal: Proposal, reader: Reader) -> dict[str, Any]:
    columns = {}
    for column in proposal.columns.values():
        judged = found.judged.get(column)
        columns[column] = {} if judged is None else {
            "coverage": judged.coverage,
            "distinct": judged.distinct,
            "distribution": [vars(bar) for bar in judged.bars] if _shown(found, proposal, reader) else None,
            "nearest": judged.nearest,
            "separation": to_json(judged.separation),
            "score": _score(found, judged),
            "cost": vars(judged.cost),
        }  # fmt: skip
    return {"category": proposal.category, "reason": proposal.reason, "tag": dict(proposal.tag), "columns": columns}


def print_found(console: Console, setting: Setting, found: Answer, reader: Reader, *, every: bool) -> None:
    """What would be written and what is known of it: of one tag everything, of a whole catalog a line each."""
    if every:
        _print_all(console, found)
    else:
        _print_one(console, setting, found, reader)


def print_written(console: Console, found: Answer, written: Sequence[Path], *, dry_run: bool) -> None:
    """The files that were written, and what comes next."""
    if not found.proposals:
        console.print("nothing to write: the catalog has all that the fields are good for", markup=False)
        return
    for path in written:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    if not written:
        console.print("nothing is written" + ("" if dry_run else ": add --yes"), markup=False)


def _print_one(console: Console, setting: Setting, found: Answer, reader: Reader) -> None:
    """The block as it would stand, where, and everything known of each column."""
    (proposal,) = found.proposals
    (change,) = found.draft.changes
    new = "" if change.before is not None else " (a new file)"
    console.print(Text(f"{change.file}{new}", style="bold"), soft_wrap=True)
    if proposal.widens:
        console.print(f"{proposal.code} means this: it gets the windows {', '.join(proposal.columns)}", markup=False)
    else:
        console.print(Text(tag_text(proposal.tag, 2).rstrip()), soft_wrap=True)
        console.print(Text(proposal.reason, style="dim"), soft_wrap=True)
    for column in proposal.columns.values():
        judged = found.judged.get(column)
        if judged is not None:
            console.print()
            _print_column(console, setting, found, proposal, judged, _shown(found, proposal, reader))
    _print_basis(console, found)


def _print_column(
    console: Console, setting: Setting, found: Answer, proposal: Proposal, judged: Judged, shown: bool
) -> None:
    title = found.draft.resolved.tags[judged.column].title
    console.print(Text(f"{judged.column}  {title}", style="bold"))
    console.print(
        f"coverage 覆盖率 {share(judged.coverage)}, {count(judged.distinct)} different values", markup=False
    )
    least = setting.resolved.catalog.project.insight.least_coverage
    if judged.coverage < least:
        console.print(Text(f"fewer than {least:.0%} (insight.least_coverage): --all leaves it out", style="yellow"))
    if not shown:
        console.print(Text(f"the values are {proposal.tag['access']}: not shown to this role", style="yellow"))
    widest = max((bar.share for bar in judged.bars), default=0) or 1
    labels = max((len(bar.label) for bar in judged.bars), default=0)
    for bar in judged.bars if shown else ():
        filled = "█" * round(_WIDTH * bar.share / widest)
        console.print(Text(f"  {bar.label:>{labels}}  {filled} {share(bar.share)}"), soft_wrap=True)
    redundant = setting.resolved.catalog.project.insight.redundant
    if judged.nearest is not None:
        code, like = judged.nearest
        said = "redundant with" if like >= redundant else "nearest tag"
        console.print(Text(f"{said} {code} ({like:.2f})", style="yellow" if like >= redundant else ""))
    if judged.separation is not None:
        console.print(_separation_text(judged.separation), markup=False)
    console.print(f"score 价值评分 {_score(found, judged):.2f}, to expect before anything reads it", markup=False)
    console.print(_cost_text(judged.cost), markup=False)


def _score(found: Answer, judged: Judged) -> float:
    """What the tag may be worth, 0 to 1, as ``valtag insight`` weighs it: of coverage and of what it told."""
    told = None if judged.separation is None else judged.separation.information
    return expected_score(found.draft.resolved.catalog.project.insight, judged.coverage, told)


def _print_all(console: Console, found: Answer) -> None:
    """A line per tag by category, then what was left out and why."""
    for category in dict.fromkeys(proposal.category for proposal in found.proposals):
        own = [proposal for proposal in found.proposals if proposal.category == category]
        told = [">AUC", ">IV"] if found.past is not None else []
        columns = ["!tag", "zh", "windows", "type", ">coverage", "nearest", *told, "why"]
        console.print(table(_heading(found, category), columns, [_line(found, proposal) for proposal in own]))
    for title, reasons in (("left out 未采纳", found.dropped), ("fields without a tag 未用字段", found.skipped)):
        for name, why in list(reasons.items())[:_REASONS]:
            console.print(Text(f"{title}: {name}: {why}", style="dim"), soft_wrap=True)
        if len(reasons) > _REASONS:
            console.print(Text(f"{title}: {len(reasons) - _REASONS} more (--json)", style="dim"))
    if found.laws:
        console.print(Text(f"laws 约束: {', '.join(law.law for law in found.laws)}", style="dim"), soft_wrap=True)
    tags, columns_made = len(found.proposals), len(found.columns)
    console.print(f"{tags} tags, {columns_made} columns, {len(found.laws)} laws", markup=False)
    _print_basis(console, found)


def _heading(found: Answer, category: str) -> str:
    title = found.draft.resolved.catalog.categories[category].spec.title
    return f"{title.zh} · {title.en} ({category})"


def _line(found: Answer, proposal: Proposal) -> list[object]:
    judged = found.judged.get(next(iter(proposal.columns.values())))
    title, windows = proposal.tag["title"], " ".join(proposal.tag.get("windows", ()))
    known: list[object] = ["", "", *(["", ""] if found.past is not None else [])]
    if judged is not None:
        near = "" if judged.nearest is None else f"{judged.nearest[0]} {judged.nearest[1]:.2f}"
        known = [share(judged.coverage), near, *([] if found.past is None else _told(judged.separation))]
    return [proposal.code, title["zh"], windows, proposal.tag["type"], *known, proposal.reason]


def _told(found: Separation | None) -> tuple[str, str]:
    """AUC and IV, or why there is none."""
    if found is None:
        return "", ""
    auc = found.why or "" if found.auc is None else f"{found.auc.value:.2f}"
    iv = found.why or "" if found.information is None else f"{max(0.0, found.information):.2f}"
    return auc, "" if iv == auc else iv


def _print_basis(console: Console, found: Answer) -> None:
    """What the figures rest on."""
    if found.unseen is not None:
        console.print(Text(f"not tried on data: {found.unseen}", style="yellow"), soft_wrap=True)
        return
    whole = "" if found.persons == found.population else f", drawn from {count(found.population)}"
    said = f"tried on {count(found.persons)} persons{whole}, as-of {found.as_of}"
    if found.past is not None:
        said += f"; AUC, IV: {found.past.outcome.text}, told on {found.past.at}"
    elif found.unjudged is not None:
        said += f"; no estimate of what it tells: {found.unjudged}"
    console.print(Text(said, style="dim"), soft_wrap=True)


def _separation_text(found: Separation) -> str:
    told = f"{count(found.happened)} of {count(found.persons)} persons with a value"
    if found.information is None:
        return f"outcome: nothing can be said of it ({found.why})"
    auc = "" if found.auc is None else f"AUC {found.auc.value:.2f} [{found.auc.low:.2f}, {found.auc.high:.2f}], "
    today = "; its master keeps no past, so this is flattered by what is known today" if found.today else ""
    return f"outcome: {auc}IV {max(0.0, found.information):.3f} above chance; {told}{today}"


def _cost_text(cost: Cost) -> str:
    if not cost.rows:
        return (
            f"cost: no row to read: {cost.tiles_there} tiles are there"
            if cost.tiles_there
            else "cost: reads other tags"
        )
    tiles = f", {cost.tiles_made} tiles made, {cost.tiles_there} there" if cost.tiles_made else ""
    return (
        f"cost: {count(cost.rows)} rows ({cost.bytes / 1e6:.1f} MB) once{tiles}, about {cost.seconds:.1f} s; "
        f"then about {count(cost.daily)} rows a day"
    )


def _shown(found: Answer, proposal: Proposal, reader: Reader) -> bool:
    """Whether the reader may see how values of the tag, and so of all it rests on, are spread."""
    return reader.may(_need(found, proposal))


def _need(found: Answer, proposal: Proposal) -> Need:
    resolved, columns = found.draft.resolved, proposal.columns.values()
    read = {source for column in columns for source, _ in source_columns(resolved, resolved.tags[column])}
    return joined(Need(resolved.tags[column].spec.access, sources=frozenset(read)) for column in columns)
