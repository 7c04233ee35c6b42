"""project.yaml: insight. How tags are judged by their usefulness (标签价值评分)."""

from pydantic import Field, model_validator

from valtag_assets.spec.block import Block, Title
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT, DataType


class Weights(Block):
    """How much each part counts in the score, which is their weighted mean.

    Seconds are shown and count nothing: they differ from run to run, and equal inputs give an equal table.
    """

    use: float = Field(default=0.3, ge=0)
    messages: float = Field(default=0.15, ge=0)
    coverage: float = Field(default=0.15, ge=0)
    contribution: float = Field(default=0.25, ge=0)
    quality: float = Field(default=0.1, ge=0)
    freshness: float = Field(default=0.05, ge=0)

    @model_validator(mode="after")
    def _some(self) -> "Weights":
        if not sum(self.model_dump().values()):
            raise ValueError("all weights are 0: there would be no score")
        return self


class Insight(Block):
    """What makes a tag worth its keep.

    ``full_use``: so many direct readers are full marks; ``full_age``: data so many days old get none.
    ``full_lift``: a measured difference in lift (a share of persons) that is full marks; ``full_iv``: an
    association (information value above chance) that gets half marks, the most an association can get. ``least``:
    fewer persons than that, in each group, say nothing. ``keep``: the score from which a tag that something reads
    is kept; ``retire``: the score below which one that nothing reads is given up; the others are to be improved.
    ``redundant``: tags associated as closely say the same; ``nearly_empty``: a tag that fewer persons (a share) have
    says nothing, as one with a single value does; ``least_coverage``: one that fewer would have is not proposed.
    ``sample`` persons drawn by ``seed`` are looked at for
    that; ``permutations`` show what chance gives.
    """

    weights: Weights = Weights()
    full_use: int = Field(default=5, ge=1)
    full_age: int = Field(default=30, ge=1)
    full_lift: float = Field(default=0.05, gt=0, le=1)
    full_iv: float = Field(default=0.3, gt=0)
    least: int = Field(default=30, ge=1)
    keep: float = Field(default=0.5, ge=0, le=1)
    retire: float = Field(default=0.3, ge=0, le=1)
    redundant: float = Field(default=0.95, gt=0, le=1)
    nearly_empty: float = Field(default=0.01, ge=0, lt=1)
    least_coverage: float = Field(default=0.05, ge=0, le=1)
    sample: int = Field(default=2000, ge=100, le=100_000)
    permutations: int = Field(default=200, ge=10, le=10_000)
    seed: int = 7


COLUMNS: dict[str, tuple[DataType, Title]] = {
    "tag": (TEXT, Title(zh="标签", en="Tag")),
    "category": (TEXT, Title(zh="类目", en="Category")),
    "score": (FLOAT, Title(zh="价值评分，0 至 1", en="Usefulness, 0 to 1")),
    "advice": (TEXT, Title(zh="建议：keep 保留、improve 改进、merge 合并、retire 下线", en="What to do")),
    "direct": (INTEGER, Title(zh="直接使用数", en="What reads it itself")),
    "indirect": (INTEGER, Title(zh="间接使用数", en="What reads it through other tags, scores or segments")),
    "automations": (
        INTEGER,
        Title(zh="依赖它的自动化数（触发与投递）", en="Triggers and deliveries that depend on it"),
    ),
    "automation_share": (FLOAT, Title(zh="依赖它的自动化占比", en="Their share of all automations")),
    "messages": (INTEGER, Title(zh="近30天其自动化的触达数", en="Messages their automations sent in 30 days")),
    "coverage": (FLOAT, Title(zh="人群覆盖率", en="Share of persons with a value")),
    "distinct": (INTEGER, Title(zh="不同取值数", en="Different values")),
    "quality": (FLOAT, Title(zh="检查通过率", en="Share of its checks that passed")),
    "age_days": (INTEGER, Title(zh="数据年龄（天）", en="Age of its data in days")),
    "evidence": (
        TEXT,
        Title(zh="转化贡献证据：measured 实测、association 仅关联、insufficient 不足", en="Evidence of contribution"),
    ),
    "contribution": (
        FLOAT,
        Title(
            zh="实测：提升之差；关联：超出随机的信息值",
            en="Measured: difference in lift; association: IV above chance",
        ),
    ),
    "contribution_low": (FLOAT, Title(zh="实测 95% 下限", en="Measured: its 95% interval, from")),
    "contribution_high": (FLOAT, Title(zh="实测 95% 上限", en="Measured: its 95% interval, to")),
    "persons": (INTEGER, Title(zh="证据人数", en="Persons the evidence is from")),
    "twin": (TEXT, Title(zh="高度相关的标签", en="Tag that says the same")),
    "likeness": (FLOAT, Title(zh="相关程度", en="How closely")),
}
"""The columns of the table of usefulness: a line per tag."""

BESIDE: dict[str, Title] = {
    "seconds": Title(zh="计算耗时（秒，按表均摊）", en="Seconds: its table's, shared among its tags"),
    "score_before": Title(zh="约一月前评分", en="Usefulness about a month before"),
    "before": Title(zh="该评分日期", en="As-of of that"),
}
"""What pages tell beside the table: it depends on when and where was run."""
