"""placements/*.yaml: places that show each person one of several contents (千人千面)."""

from pydantic import model_validator

from valtag_assets.spec.block import Access, Block, Code, Title


class Variant(Block):
    """One content a placement may show, and the condition under which it does.

    ``when`` is an expression over tags, scores and segments (a segment's code stands for being in it).
    """

    code: Code
    title: Title
    when: str


class Default(Block):
    """What a placement shows when no rule holds."""

    code: Code
    title: Title


class Placement(Block):
    """One place: the first variant whose ``when`` holds, else ``default``.

    ``access`` is the level a role needs to ask for a person's variant; left out, it is the highest level of what
    the rules read, since the variant tells of it.
    """

    placement: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    access: Access | None = None
    variants: tuple[Variant, ...]
    default: Default

    @model_validator(mode="after")
    def _distinct(self) -> "Placement":
        if not self.variants:
            raise ValueError("variants needs at least one; without a choice there is nothing to decide")
        codes = [variant.code for variant in self.variants]
        twice = next((code for code in codes if codes.count(code) > 1), None)
        if twice is not None:
            raise ValueError(f"two variants are called '{twice}': join their conditions with or")
        if self.default.code in codes:
            raise ValueError(f"the default '{self.default.code}' is a variant already: leave that one out")
        return self
