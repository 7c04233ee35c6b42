"""Triggers resolved: rules typed, fields, channels and facts met, rules that can't hold refused."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from valtag_assets.expression.errors import ExpressionError
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.parse import parse
from valtag_assets.expression.resolve_effect import with_effect
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolve_segment import refusals
from valtag_assets.expression.resolved import Resolved, ResolvedTag, RuleScope
from valtag_assets.expression.resolved_delivery import (
    ResolvedChannel,
    ResolvedDestination,
    ResolvedTrigger,
    TravellingField,
)
from valtag_assets.expression.rule import Joined, Member, ResolvedRule, columns_read, rule_meaning
from valtag_assets.expression.tree import Node
from valtag_assets.spec.block import ACCESS_LEVELS
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.destination import ABOUT, Destination, placeholders
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.segment import Rule
from valtag_assets.spec.trigger import Trigger
from valtag_assets.spec.types import BOOLEAN

WHEN, EXCLUDE, UNLESS, TESTED = "when", "exclude", "unless", "tested"


def step_rule(step: str) -> str:
    """The name of the rule that a step has of its own."""
    return f"step_{step}"


def channel_rules(channel: ResolvedChannel) -> dict[str, ResolvedRule]:
    """What decides about a channel: ``reachable_<code>``, and where the project says so ``consent_<code>`` and
    ``suppressed_<code>``."""
    found = {f"reachable_{channel.code}": channel.reachable}
    if channel.consent is not None:
        found[f"consent_{channel.code}"] = channel.consent
    if channel.suppressed:
        found[f"suppressed_{channel.code}"] = Joined("any", channel.suppressed)
    return found


def resolve_triggers(
    catalog: Catalog,
    tags: Mapping[str, ResolvedTag],
    scope: RuleScope,
    channels: Mapping[str, ResolvedChannel],
    excluded: tuple[Member, ...],
    destinations: Mapping[str, ResolvedDestination],
    problems: list[Problem],
) -> dict[str, ResolvedTrigger]:
    """Every trigger of the catalog. Mistakes go to ``problems``."""
    resolver = TriggerResolver(tags, scope, channels, excluded, destinations)
    found = {}
    for code, entry in catalog.triggers.items():
        found[code] = with_effect(catalog, resolver.resolve(entry, problems), tags, scope, problems)
        problems.extend(_references(catalog, entry, scope))
        problems.extend(_templates(catalog, entry, resolver))
    return found


class TriggerResolver:
    """Resolves one trigger after the other against the same catalog; also earlier versions of one."""

    def __init__(
        self,
        tags: Mapping[str, ResolvedTag],
        scope: RuleScope,
        channels: Mapping[str, ResolvedChannel],
        excluded: tuple[Member, ...],
        destinations: Mapping[str, ResolvedDestination],
    ) -> None:
        self.tags = tags
        self.scope = scope
        self.channels = channels
        self.excluded = excluded
        self.destinations = destinations

    @classmethod
    def of(cls, resolved: Resolved) -> "TriggerResolver":
        """The resolver of a catalog that is resolved already."""
        return cls(resolved.tags, resolved.rules, resolved.channels, resolved.exclusions, resolved.destinations)

    def resolve(self, entry: Entry[Trigger], problems: list[Problem]) -> ResolvedTrigger:
        """``entry`` with every name met; its mistakes go to ``problems``."""
        spec, rules = entry.spec, dict[str, ResolvedRule]()
        written: list[tuple[str, Rule | None, tuple[str | int, ...]]] = [
            (WHEN, spec.when, ("when",)),
            (EXCLUDE, spec.exclude, ("exclude",)),
            (UNLESS, spec.unless, ("unless",)),
            *((step_rule(a.step), a.when, ("actions", n, "when")) for n, a in enumerate(spec.actions)),
        ]
        for name, rule, place in written:
            if rule is not None:
                rules[name] = self._rule(entry, rule, place, problems)
        own = dict(rules)
        if self.excluded:
            excluded = Joined("any", self.excluded)
            rules[EXCLUDE] = Joined("any", (excluded, rules[EXCLUDE])) if EXCLUDE in rules else excluded
        reached = self._channels(entry, problems)
        for code in reached.values():
            rules |= channel_rules(self.channels[code])
        if spec.test is not None and spec.test.list in self.scope.lists:
            rules[TESTED] = Member("list", spec.test.list)
        event, where = self._event(entry, problems)
        known = {symbol.code: symbol.type for symbol in self.scope.columns}
        sent = frozenset(code for action in spec.actions for code in action.fields.values())
        sent |= {field.source for action in spec.actions for field in self.kept_fields(action.to)}
        read = sent.union(*(columns_read(rule) for rule in own.values()))
        columns = {code: known[code] for code in sorted(read) if code in known}
        meant = _meaning(spec, own, reached, event, where)
        return ResolvedTrigger(spec.trigger, entry, rules, reached, event, where, columns, meant)

    def kept_fields(self, destination: str) -> list[TravellingField]:
        """The destination's own fields whose values are kept when a person enters: all but contact data."""
        to = self.destinations.get(destination)
        return [field for field in to.fields if not self.is_contact(field)] if to is not None else []

    def is_contact(self, field: TravellingField) -> bool:
        """Whether a field is joined when a message is sent, and never lies in a table of triggers or the ledger."""
        personal = field.source in self.tags and self.tags[field.source].spec.access == "pii"
        return field.mask is not None or personal

    def _channels(self, entry: Entry[Trigger], problems: list[Problem]) -> dict[str, str]:
        """The channel of each step: its own, or the destination's."""
        found = {}
        for number, action in enumerate(entry.spec.actions):
            to = self.destinations.get(action.to)
            if to is None:
                said = f"'{action.to}' is no destination{did_you_mean(action.to, list(self.destinations))}"
                problems.append(entry.problem(said, "actions", number, "to"))
                continue
            channel = action.channel or to.spec.channel
            if channel is None:
                said = f"how does {action.to} reach a person? Name the channel, here or at the destination"
                problems.append(entry.problem(said, "actions", number, "to"))
            elif channel not in self.channels:
                nearest = did_you_mean(channel, list(self.channels))
                said = f"'{channel}' is no channel of project.yaml{nearest}"
                problems.append(entry.problem(said, "actions", number, "channel"))
            else:
                found[action.step] = channel
        return found

    def _rule(
        self, entry: Entry[Trigger], rule: Rule, place: tuple[str | int, ...], problems: list[Problem]
    ) -> ResolvedRule:
        faults: list[Problem] = []
        found = resolve_rule(rule, self.scope, lambda said, at: faults.append(entry.problem(said, *at)), place)
        if not faults:
            faults.extend(entry.problem(said, *place) for said in refusals(found, self.tags))
        problems.extend(faults)
        return found

    def _event(self, entry: Entry[Trigger], problems: list[Problem]) -> tuple[str | None, Node | None]:
        event = entry.spec.on.event
        if event is None:
            return None, None
        facts = self.scope.facts
        if event.fact not in facts:
            said = f"'{event.fact}' is no fact{did_you_mean(event.fact, list(facts))}"
            problems.append(entry.problem(said, "on", "event", "fact"))
            return None, None
        source = self.scope.sources[event.fact]
        if not source.spec.key:
            problems.append(
                entry.problem(f"{event.fact} has no key that tells its rows apart", "on", "event", "fact")
            )
        if event.where is None:
            return event.fact, None
        try:
            return event.fact, parse(event.where, source.scope, expect=BOOLEAN)
        except ExpressionError as error:
            problems.append(entry.problem(str(error), "on", "event", "where"))
        return event.fact, None


def _references(catalog: Catalog, entry: Entry[Trigger], scope: RuleScope) -> Iterator[Problem]:
    spec = entry.spec
    known = [symbol.code for symbol in scope.columns]
    for number, action in enumerate(spec.actions):
        for name, code in action.fields.items():
            if code not in known:
                said = f"'{code}' is no tag or score{did_you_mean(code, known)}"
                yield entry.problem(said, "actions", number, "fields", name)
    if spec.test is not None and spec.test.list is not None and spec.test.list not in scope.lists:
        said = f"'{spec.test.list}' is no list{did_you_mean(spec.test.list, list(scope.lists))}"
        yield entry.problem(said, "test", "list")


def _templates(catalog: Catalog, entry: Entry[Trigger], resolver: TriggerResolver) -> Iterator[Problem]:
    """What must not travel, and names of the receiver's template that nothing fills."""
    for number, action in enumerate(entry.spec.actions):
        to = resolver.destinations.get(action.to)
        if to is None:
            continue
        for name, code in action.fields.items():
            if code in resolver.tags and (said := _kept_from(catalog, to.spec, resolver.tags[code])):
                yield entry.problem(said, "actions", number, "fields", name)
        segments = [field.name for field in to.fields if field.kind == "segment"]
        if segments:
            said = f"{action.to} is sent {', '.join(segments)}: what a message tells of a person is a tag or score"
            yield entry.problem(said, "actions", number, "to")
        names = {*action.fields, *action.texts, *(field.name for field in to.fields)}
        for name in sorted(placeholders(to.spec.body) - {*names, *ABOUT}):
            message = f"the body of {action.to} names {{{name}}}, and no such field travels"
            yield entry.problem(message + did_you_mean(name, [*names, *ABOUT]), "actions", number, "to")


def _kept_from(catalog: Catalog, to: Destination, tag: ResolvedTag) -> str | None:
    """Why a tag's value may not be among an action's fields, if it may not."""
    level, access = tag.spec.access, catalog.access
    if level == "pii":
        return f"'{tag.code}' is personal: name it among the fields of {to.destination}, which are joined on sending"
    role = to.access or access.default_role
    reads = access.roles[role].level if role in access.roles else "public"
    if ACCESS_LEVELS.index(level) > ACCESS_LEVELS.index(reads):
        return f"'{tag.code}' is {level}, and {to.destination} has the role {role}"
    return None


def _meaning(
    spec: Trigger,
    rules: Mapping[str, ResolvedRule],
    channels: Mapping[str, str],
    event: str | None,
    where: Node | None,
) -> str:
    """Everything that decides who enters and what is done, whatever the words."""
    blank: dict[str, Any] = {"title": None, "meaning": None, "owner": None, "when": None, "exclude": None}
    blank["effect"] = None  # how it is judged changes nothing for those under way
    actions = tuple(action.model_copy(update={"when": None}) for action in spec.actions)
    plain = spec.model_copy(update={**blank, "unless": None, "actions": actions})
    said = {name: rule_meaning(rule) for name, rule in rules.items()}
    return repr((repr(plain), said, channels, event, None if where is None else meaning(where)))


def with_spec(trigger: ResolvedTrigger, spec: Trigger) -> Entry[Trigger]:
    """An earlier definition of ``trigger``, to be resolved where the present one stands."""
    return replace(trigger.entry, spec=spec)
