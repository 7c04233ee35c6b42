"""``valtag new …``: adding to a catalog."""

import sys
from typing import Annotated

import typer

from valtag_assets.commands.options import AsOf, Catalog, Data, Json, Purpose, Role, User, asking, whole_text
from valtag_assets.console.opening import open_setting
from valtag_assets.console.screen import print_json, screen
from valtag_assets.spec.mistake import Mistake

new_app = typer.Typer(no_args_is_help=True, help="Add to a catalog 新建: tags from fields.")

_Field = Annotated[str | None, typer.Argument(help="A field, as orders.amount; or a fact, to count its rows.")]
_Every = Annotated[bool, typer.Option("--all", help="Propose a whole catalog from all sources.")]
_Agg = Annotated[str | None, typer.Option("--agg", help="sum, count, avg, top, last, days_since_last, …")]
_Window = Annotated[list[str] | None, typer.Option("--window", help="30d, all, mtd, …; more than once.")]
_Where = Annotated[str | None, typer.Option("--where", help="Only rows that satisfy this condition.")]
_Code = Annotated[str | None, typer.Option("--code", help="Its code, without the window.")]
_Zh = Annotated[str | None, typer.Option("--zh", parser=whole_text, metavar="TEXT", help="Its Chinese title.")]
_En = Annotated[str | None, typer.Option("--en", parser=whole_text, metavar="TEXT", help="Its English title.")]
_Category = Annotated[str | None, typer.Option("--category", help="Its category; with --all, only that one.")]
_Group = Annotated[str | None, typer.Option("--group", help="Its branch of the tag tree.")]
_Unit = Annotated[str | None, typer.Option("--unit", help="Its unit.")]
_Meaning = Annotated[
    str | None, typer.Option("--meaning", parser=whole_text, metavar="TEXT", help="What it means, in a sentence.")
]
_Access = Annotated[str | None, typer.Option("--access", help="public, internal, sensitive, pii.")]
_Owner = Annotated[str | None, typer.Option("--owner", help="An e-mail address, or team:name.")]
_Q = Annotated[float | None, typer.Option("--q", help="With quantile: which, from 0 to 1.")]
_K = Annotated[int | None, typer.Option("--k", help="With top_k, list: how many.")]
_Outcome = Annotated[
    str | None, typer.Option("--outcome", help='What it should tell: "orders where amount > 100 within 90d".')
]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write it without asking.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show it, and write nothing.")]


@new_app.command()
def tag(
    field: _Field = None,
    every: _Every = False,
    agg: _Agg = None,
    window: _Window = None,
    where: _Where = None,
    code: _Code = None,
    zh: _Zh = None,
    en: _En = None,
    category: _Category = None,
    group: _Group = None,
    unit: _Unit = None,
    meaning: _Meaning = None,
    access: _Access = None,
    owner: _Owner = None,
    q: _Q = None,
    k: _K = None,
    outcome: _Outcome = None,
    yes: _Yes = False,
    dry_run: _DryRun = False,
    catalog: Catalog = None,
    as_of: AsOf = None,
    role: Role = None,
    user: User = None,
    purpose: Purpose = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Build a tag from a field 字段级标签一键构建: named, checked, tried on data, written where it belongs."""
    from valtag_assets.console import new_tag
    from valtag_assets.wizard.one import Wish
    from valtag_assets.wizard.proposing import Question

    setting, terminal = open_setting(catalog, data), sys.stdin.isatty() and not as_json
    windows = tuple(window or ())
    wish = Wish(field or "", agg, windows, where, code, zh, en, category, group, unit, meaning, access, owner, q, k)
    if every and field is not None:
        raise Mistake("--all proposes tags of every field; leave out the field, or --all")
    if not every and terminal and not yes and not (field and agg):
        wish = new_tag.ask_wish(setting, wish, lambda question, default: str(typer.prompt(question, default)))
    if not every and not wish.field:
        raise Mistake("name a field (valtag new tag orders.amount), or ask for a whole catalog with --all")
    question = Question(None if every else wish, category if every else None, as_of, outcome)
    found, reader = new_tag.tried(setting, question, asking(role, user, purpose))
    if not as_json:
        new_tag.print_found(screen(), setting, found, reader, every=every)
    asks = terminal and not yes and not dry_run and bool(found.proposals)
    agreed = not dry_run and (yes or (asks and typer.confirm("write it?", default=True)))
    written = found.draft.write() if agreed else []
    if as_json:
        print_json(new_tag.to_data(found, reader, written))
    else:
        new_tag.print_written(screen(), found, written, dry_run=dry_run)
