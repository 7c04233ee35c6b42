"""The channels of project.yaml resolved: to whom each is open, who agreed, who must not be reached."""

from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolved import RuleScope
from valtag_assets.expression.resolved_delivery import ResolvedChannel
from valtag_assets.expression.rule import Condition, Joined, Member, ResolvedRule, facts_read
from valtag_assets.spec.catalog import Catalog
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.project import Channel
from valtag_assets.spec.segment import Rule
from valtag_assets.spec.types import TEXT


def resolve_channels(catalog: Catalog, scope: RuleScope, problems: list[Problem]) -> dict[str, ResolvedChannel]:
    """The channels of project.yaml. Mistakes go to ``problems``, those of ``contact`` too."""
    found: dict[str, ResolvedChannel] = {}
    for channel in catalog.project.channels:
        if channel.code in found:
            _blame(catalog, problems, channel, "code", f"channel '{channel.code}' is defined twice")
        consent = None
        if channel.consent is not None:
            consent = _rule(catalog, scope, problems, channel, "consent", channel.consent)
        for code in channel.suppressed:
            if code not in scope.lists:
                said = f"'{code}' is no list{did_you_mean(code, list(scope.lists))}"
                _blame(catalog, problems, channel, "suppressed", said)
        found[channel.code] = ResolvedChannel(
            code=channel.code,
            title=channel.title,
            reachable=_rule(catalog, scope, problems, channel, "reachable", channel.reachable),
            consent=consent,
            suppressed=tuple(Member("list", code) for code in channel.suppressed if code in scope.lists),
            quiet=channel.quiet,
        )
    _check_contact(catalog, scope, problems)
    return found


def _rule(
    catalog: Catalog, scope: RuleScope, problems: list[Problem], channel: Channel, field: str, text: str
) -> ResolvedRule:
    def blame(said: str, _: object) -> None:
        _blame(catalog, problems, channel, field, said)

    rule = resolve_rule(Rule(condition=text), scope, blame)
    if not isinstance(rule, Condition | Joined) or facts_read(rule):
        word = "is open" if field == "reachable" else "is agreed to"
        blame(f"a channel {word} by tags and scores alone", ())
    return rule


def _blame(catalog: Catalog, problems: list[Problem], channel: Channel, field: str, said: str) -> None:
    problems.append(Problem(catalog.root / "project.yaml", 1, f"channels[{channel.code}].{field}", said))


def _check_contact(catalog: Catalog, scope: RuleScope, problems: list[Problem]) -> None:
    contact, file = catalog.project.contact, catalog.root / "project.yaml"
    known = [channel.code for channel in catalog.project.channels]
    for cap in contact.caps:
        if cap.channel is not None and cap.channel not in known:
            said = f"'{cap.channel}' is no channel{did_you_mean(cap.channel, known)}"
            problems.append(Problem(file, 1, "contact.caps", said))
    if contact.zone is not None:
        symbol = scope.columns.get(contact.zone)
        if symbol is None:
            said = f"'{contact.zone}' is no tag{did_you_mean(contact.zone, [item.code for item in scope.columns])}"
            problems.append(Problem(file, 1, "contact.zone", said))
        elif symbol.type != TEXT:
            problems.append(Problem(file, 1, "contact.zone", f"'{contact.zone}' is a {symbol.type}; a zone is text"))
