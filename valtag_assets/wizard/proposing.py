"""From a wish, or from every source, to a sound draft of the catalog and what is known of each new tag."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import pyarrow as pa

from valtag_assets.expression.resolved import Resolved, ResolvedLtv
from valtag_assets.graph.as_of import choose_as_of
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import refuse_as_of
from valtag_assets.spec.mistake import Mistake
from valtag_assets.wizard.drafting import Draft, draft, trial
from valtag_assets.wizard.fields import Figures
from valtag_assets.wizard.judging import Judged, checked, choose, columns_of_all, judge, without_twins
from valtag_assets.wizard.laws import Law, laws
from valtag_assets.wizard.making import Proposal
from valtag_assets.wizard.meanings import Meanings
from valtag_assets.wizard.one import Wish, propose_one, source_of
from valtag_assets.wizard.outcome import History, Outcome, history, read_outcome, usual_outcome, why_not
from valtag_assets.wizard.sample import Sample, open_sample, unseen
from valtag_assets.wizard.tiers import tiers
from valtag_assets.wizard.whole import Looked, left_out, propose

# Words that the naming law wants at the front of a code.
_FRONT = re.compile(r"(?:days_since_|is_|has_)?")


@dataclass(frozen=True)
class Question:
    """What is asked: one ``wish``, or (None) a whole catalog, of one ``category`` if that is named. ``outcome``: what
    tags should tell; None: the usual one."""

    wish: Wish | None = None
    category: str | None = None
    as_of: date | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class Answer:
    """The draft, its proposals and what data say of each column: nothing where ``unseen`` says why.

    ``dropped``: columns that were thought of and left out, and why; ``skipped``: fields nothing is made of;
    ``laws``: those between the tags that are written with them.
    ``unjudged``: why nothing is said of the outcome.
    """

    draft: Draft
    proposals: Sequence[Proposal]
    judged: Mapping[str, Judged] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    laws: Sequence[Law] = ()
    as_of: date | None = None
    persons: int = 0
    population: int = 0
    rate: float = 0.0
    past: History | None = None
    unseen: str | None = None
    unjudged: str | None = None

    @property
    def columns(self) -> list[str]:
        return columns_of_all(self.proposals)


def answer(setting: Setting, question: Question) -> Answer:
    """What would be written, and what is known of it. Raises Mistake or CatalogError; writes nothing."""
    resolved, wish = setting.resolved, question.wish
    if wish is not None:
        source_of(resolved, wish.field)
    asked = read_outcome(resolved, question.outcome) if question.outcome is not None else None
    sources = _sources(resolved, wish, asked)
    missing = unseen(setting, sources)
    if missing is not None:
        return _blind(resolved, question, missing)
    as_of = question.as_of or choose_as_of(setting)
    if refused := refuse_as_of(setting, as_of):
        raise Mistake(f"no tag can be tried: {refused}")
    with open_sample(setting, sources, as_of) as sample:
        found = _one(sample, wish, asked) if wish is not None else _all(sample, question.category, asked)
    return found


def _sources(resolved: Resolved, wish: Wish | None, asked: Outcome | None) -> list[str]:
    """The tables to read rows of: of a wish its own, and the one that tells the outcome."""
    if wish is None:
        return [code for code, source in resolved.sources.items() if source.spec.kind in ("master", "fact")]
    ltv = [score.orders.fact for score in resolved.scores.values() if isinstance(score, ResolvedLtv)]
    bought = [
        code
        for code, source in resolved.sources.items()
        if source.spec.kind == "fact" and source.spec.family == "transaction"
    ]
    telling = [asked.fact] if asked is not None else [*ltv, *bought][:1]
    return list(dict.fromkeys([source_of(resolved, wish.field)[0].code, *telling]))


def _blind(resolved: Resolved, question: Question, missing: str) -> Answer:
    """What follows from the catalog alone."""
    if question.wish is not None:
        proposals = [_single(resolved, question.wish)]
        return Answer(draft(resolved, proposals), proposals, unseen=missing)
    dropped = dict[str, str]()
    found = _wanted(resolved, propose(resolved, Looked()), question.category)
    proposals = without_twins(resolved, found, dropped)
    return Answer(_some(resolved, proposals), proposals, dropped=dropped, skipped=left_out(resolved), unseen=missing)


def _one(sample: Sample, wish: Wish, asked: Outcome | None) -> Answer:
    resolved = sample.setting.resolved
    proposal = _single(resolved, wish, _figures(sample, wish))
    made = draft(resolved, [proposal])
    values = sample.values(made.resolved, columns_of_all([proposal]))
    if not proposal.widens and (better := checked(proposal, values)) != proposal:
        proposal, made = better, draft(resolved, [better])
    return _judged(sample, made, [proposal], values, asked)


def _all(sample: Sample, category: str | None, asked: Outcome | None) -> Answer:
    resolved = sample.setting.resolved
    found = _wanted(
        resolved, propose(resolved, Looked(sample.figures, sample.spans, sample.reach, sample.as_of)), category
    )
    chosen = choose(sample, resolved, found)
    more = [_placed(resolved, tier) for tier in tiers(resolved, chosen.kept, chosen.values)]
    kept = [*chosen.kept, *more]
    made = _some(resolved, kept)
    values = {**chosen.values, **sample.values(made.resolved, columns_of_all(more))}
    obeyed = laws(made.resolved, kept, values)
    made = draft(resolved, kept, obeyed) if obeyed else made
    told = _judged(sample, made, kept, values, asked)
    return replace(told, dropped=chosen.dropped, skipped=left_out(resolved), laws=obeyed)


def _judged(
    sample: Sample,
    made: Draft,
    proposals: Sequence[Proposal],
    values: Mapping[str, pa.ChunkedArray],
    asked: Outcome | None,
) -> Answer:
    resolved = sample.setting.resolved
    outcome = asked or usual_outcome(resolved, sample)
    why = "no fact tells what happens" if outcome is None else why_not(sample, outcome)
    past = history(sample, outcome) if outcome is not None and why is None else None
    told = Answer(
        made, proposals, as_of=sample.as_of, persons=sample.persons, population=sample.population,
        rate=sample.rate, past=past, unjudged=why,
    )  # fmt: skip
    judged = judge(sample, made.resolved, told.columns, past, values)
    return replace(told, judged={item.column: item for item in judged})


def _some(resolved: Resolved, proposals: Sequence[Proposal]) -> Draft:
    """The draft; the catalog as it is where nothing is proposed."""
    return draft(resolved, proposals) if proposals else Draft(resolved, [])


def _wanted(resolved: Resolved, proposals: Sequence[Proposal], category: str | None) -> list[Proposal]:
    return [_placed(resolved, p) for p in proposals if category is None or p.category == category]


def _placed(resolved: Resolved, proposal: Proposal, wish: Wish | None = None) -> Proposal:
    """On the branch of the tag tree that tags made alike are on; on none in a category that has no branches."""
    known = resolved.catalog.categories.get(proposal.category)
    if known is None or (wish is not None and wish.group is not None):
        return proposal
    branches = [(tag.group, tag.value.agg if tag.value is not None else tag.kind) for tag in known.spec.tags]
    value = proposal.tag.get("value")
    how = value.get("agg") if isinstance(value, Mapping) else "band" if "band" in proposal.tag else "computed"
    alike = [group for group, agg in branches if agg == how and group is not None]
    any_branch = any(group is not None for group, _ in branches)
    return proposal.but(group=alike[-1] if alike else proposal.tag.get("group") if any_branch else None)


def _single(resolved: Resolved, wish: Wish, figures: Mapping[str, Figures] | None = None) -> Proposal:
    """The tag that is wished for; where one means it over other windows, and no other name is given, more windows of
    that one."""
    made = _placed(resolved, propose_one(resolved, wish, figures), wish)
    if wish.code is not None or not wish.windows:
        return made
    # A code of its own for the time of one look: that of another tag would be refused before it is compared.
    looked_at = made.but(code=_FRONT.sub(r"\g<0>looked_", made.code, count=1))
    column = next(iter(looked_at.columns.values()))
    twin = Meanings(resolved).wider(trial(resolved, [looked_at]).tags[column])
    if twin is None:
        return made
    known = resolved.catalog.tags[twin].spec
    windows = [window for window in wish.windows if window not in known.windows]
    if not windows:
        raise Mistake(f"'{twin}' has {', '.join(wish.windows)} already: nothing to add")
    title = {"zh": known.title.zh, "en": known.title.en}
    more = {"code": twin, "title": title, "type": str(known.type), "access": known.access, "windows": windows}
    category = next(tag.category for tag in resolved.tags.values() if tag.spec.code == twin)
    return Proposal(category, more, f"{twin} means this", widens=True)


def _figures(sample: Sample, wish: Wish) -> Mapping[str, Figures]:
    return sample.figures[source_of(sample.setting.resolved, wish.field)[0].code]
