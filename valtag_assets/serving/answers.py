"""Records made into answers, as one reader may see them.

What is the same for everybody (what is masked, held, missing, and where values come from) is made into JSON once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import orjson

from valtag_assets.engine.access import placement_need, rules_need, segment_need, served_needs
from valtag_assets.engine.brands import declared, is_of_brands
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.resolved import Resolved
from valtag_assets.serving.refusal import Refusal
from valtag_assets.spec.block import Title
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.problem import did_you_mean

MOST_FILTERS = 256
MOST_NAMED = 5  # unknown codes in one refusal


@dataclass(frozen=True)
class View:
    """The columns of one question: their codes and places in a record, and the JSON all its answers share.

    A masked column's place is that of the mask, which stands after the record's own values.
    """

    tags: tuple[str, ...]
    tag_places: tuple[int, ...]
    scores: tuple[str, ...]
    score_places: tuple[int, ...]
    memberships: bool
    shared: Mapping[str, Any]


class Answers:
    """What the records of one store say to one reader. ``about``: what the store's maker said of it."""

    def __init__(self, resolved: Resolved, about: Mapping[str, Any], reader: Reader) -> None:
        self.resolved, self.about, self.reader = resolved, about, reader
        self.as_of: str = about["as_of"]
        self._columns: Sequence[str] = about["columns"]
        self._segments: Sequence[str] = about["segments"]
        self._placements: Sequence[str] = about["placements"]
        self._needs = served_needs(resolved)
        self._hidden = {name for name in self._columns if not reader.may(self._needs[name])}
        masks = {name: reader.mask(name, self._needs[name]) for name in self._hidden}
        self._dropped = {name for name, how in masks.items() if how == "drop"}
        self._masks = {
            place: partial(reader.masked, name, self._needs[name])
            for place, name in enumerate(self._columns)
            if masks.get(name) in ("last4", "hmac")
        }
        if any(how == "hmac" for how in masks.values()):
            reader.mask_key()  # rather no answer than one whose mask has no key
        self._hidden_segments = {code for code in self._segments if not reader.may(segment_need(resolved, code))}
        self._hidden_placements = {
            code for code in self._placements if not reader.may(placement_need(resolved, code))
        }
        self.whole = self._view(self._columns, memberships=True)
        self.filtered = lru_cache(MOST_FILTERS)(self._filtered)
        self._decided = lru_cache(None)(self._decision)

    # One person

    def knows(self, record: str) -> bool:
        """Whether the person is of a brand that the reader may know of."""
        brands = self.reader.brands
        if brands is None:
            return True
        tag = declared(self.resolved).tag
        return is_of_brands(orjson.loads(record)[list(self._columns).index(tag)], brands)

    def person(self, person: str, record: str, view: View) -> bytes:
        return orjson.dumps({**self._of_person(person, record, view), "as_of": self.as_of, **view.shared})

    def part(self, person: str, record: str, view: View, asked: str | None = None) -> bytes:
        """What one person has for himself in an answer about several; ``asked``: by what name, if it is another."""
        named = {} if asked in (None, person) else {"asked": asked}
        return orjson.dumps({**self._of_person(person, record, view), **named})

    def persons(self, parts: Iterable[bytes], unknown: Sequence[str], view: View) -> bytes:
        """Several persons at once; what they share is said once."""
        persons = [orjson.Fragment(part) for part in parts]
        return orjson.dumps({"persons": persons, "unknown": unknown, "as_of": self.as_of, **view.shared})

    def segments(self, person: str, record: str) -> bytes:
        """The audiences a person is in or held out of."""
        memberships = orjson.loads(record)[len(self._columns)]
        found = []
        for code, held_out in self._named(memberships):
            origin = self.about["origins"][segments_name(code)]
            title = _title(self.resolved.segments[code].spec.title)
            found.append({"code": code, "title": title, "in": not held_out, "holdout": held_out, **_when(origin)})
        tables = [segments_name(code) for code in self._segments]
        answer = {
            "person_id": person,
            "as_of": self.as_of,
            "segments": found,
            "masked": [segments_name(code) for code in sorted(self._hidden_segments)],
            "held": self._held(tables),
            "missing": self._missing(tables),
        }
        return orjson.dumps(answer)

    def membership(self, person: str, record: str, code: str) -> bytes:
        """Whether a person is in one audience. Refusal for one that is unknown, hidden or was never published."""
        if code not in self._segments:
            raise Refusal(404, f"'{code}' is no segment{did_you_mean(code, self._segments)}")
        if code in self._hidden_segments:
            raise Refusal(403, f"this key may not know who is in {code}: its rule reads what its role may not")
        origin = self.about["origins"].get(segments_name(code))
        if origin is None:
            raise Refusal(404, f"segment {code} has not been published for {self.as_of}")
        memberships = dict(self._named(orjson.loads(record)[len(self._columns)]))
        answer = {
            "person_id": person,
            "segment": code,
            "title": _title(self.resolved.segments[code].spec.title),
            "in": memberships.get(code) is False,
            "holdout": memberships.get(code, False),
            **_when(origin),
        }
        return orjson.dumps(answer)

    def variant(self, person: str, record: str, code: str) -> bytes:
        """The content a placement shows a person, and which rule decided it."""
        if code not in self._placements:
            raise Refusal(404, f"'{code}' is no placement{did_you_mean(code, self._placements)}")
        if code in self._hidden_placements:
            raise Refusal(403, f"this key may not ask for {code}: its rules read what its role may not")
        number = orjson.loads(record)[len(self._columns) + 1 + self._placements.index(code)]
        return orjson.dumps({"person_id": person, "as_of": self.as_of, **self._decided(code, number)})

    def _of_person(self, person: str, record: str, view: View) -> dict[str, Any]:
        values = orjson.loads(record)
        values.append(MASK)
        for place, masked in self._masks.items():
            values[place] = masked(values[place])
        answer = {
            "person_id": person,
            "tags": dict(zip(view.tags, [values[place] for place in view.tag_places], strict=True)),
            "scores": dict(zip(view.scores, [values[place] for place in view.score_places], strict=True)),
        }
        if view.memberships:
            named = self._named(values[len(self._columns)])
            answer["segments"] = [code for code, held_out in named if not held_out]
            answer["holdouts"] = [code for code, held_out in named if held_out]
        return answer

    def _named(self, memberships: Iterable[int]) -> list[tuple[str, bool]]:
        """(code, held out of it) of the audiences that may be seen; see engine.lookup.membership_code."""
        named = [(self._segments[number >> 1], bool(number & 1)) for number in memberships]
        return [item for item in named if item[0] not in self._hidden_segments]

    def _decision(self, code: str, number: int) -> Mapping[str, Any]:
        """What everybody is told for whom that rule of the placement decided."""
        placement = self.resolved.placements[code]
        read = placement.tags | placement.scores | {segments_name(code) for code in placement.segments}
        variant = placement.rules[number - 1][0] if number else placement.spec.default
        tells = self.reader.may(rules_need(self.resolved, code))
        told = {
            "placement": code,
            "title": _title(placement.spec.title),
            "variant": {"code": variant.code, "title": _title(variant.title)},
            "rule": number or None,
            "when": placement.rules[number - 1][0].when if number and tells else None,
            "held": self._held(read),
            "missing": self._missing(read),
        }
        return _ready(told)

    # What is asked for

    def _filtered(self, tags: str) -> View:
        """The view of ``tags``, codes of tags and score columns with commas between. Refusal for an unknown one."""
        codes = list(dict.fromkeys(code.strip() for code in tags.split(",") if code.strip()))
        if not codes:
            raise Refusal(422, "tags names no tag; write it as tags=city,total_spend, or leave it out")
        unknown = [code for code in codes if code not in self._columns][:MOST_NAMED]
        if unknown:
            words = [f"'{code[:60]}' is no tag or score{did_you_mean(code[:60], self._columns)}" for code in unknown]
            raise Refusal(422, "; ".join(words))
        return self._view(codes, memberships=False)

    def _view(self, codes: Sequence[str], *, memberships: bool) -> View:
        places = {name: place for place, name in enumerate(self._columns)}
        mask = len(self._columns) + 1 + len(self._placements)
        masked = {name for name in self._hidden if places[name] not in self._masks}
        asked, codes = codes, [name for name in codes if name not in self._dropped]
        tags = tuple(name for name in codes if name in self.resolved.tags)
        scores = tuple(name for name in codes if name not in self.resolved.tags)
        seen, hidden = set(codes), [name for name in asked if name in self._hidden]
        tables = {self._table_of(name) for name in codes}
        if memberships:
            hidden += [segments_name(code) for code in sorted(self._hidden_segments)]
            seen |= {segments_name(code) for code in self._segments}
            tables |= seen
        shared = {
            "masked": hidden,
            "held": self._held(seen),
            "missing": self._missing(seen),
            "origins": {name: _when(origin) for name, origin in self.about["origins"].items() if name in tables},
        }
        return View(
            tags=tags,
            tag_places=tuple(mask if name in masked else places[name] for name in tags),
            scores=scores,
            score_places=tuple(mask if name in masked else places[name] for name in scores),
            memberships=memberships,
            shared=_ready(shared),
        )

    def _table_of(self, name: str) -> str:
        score = self.resolved.score_of(name)
        return tags_name(self.resolved.category_of(name)) if score is None else scores_name(score)

    def _held(self, names: Collection[str]) -> dict[str, Any]:
        return {name: origin for name, origin in self.about["held"].items() if name in names}

    def _missing(self, names: Collection[str]) -> list[str]:
        return [name for name in self.about["missing"] if name in names]

    def dictionary(self) -> bytes:
        """Every tag and score column: what it is called, its type, who may see it."""
        rows: list[dict[str, Any]] = []
        for code, tag in self.resolved.tags.items():
            kind = {"type": str(tag.type), "unit": tag.spec.unit, "meaning": tag.spec.meaning}
            title = _title(tag.title)
            where = {"category": tag.category, "score": None}
            rows.append({"code": code, "title": title, **where, **kind, **self._access(code)})
        for name, score in self.resolved.scores.items():
            for column, data_type in score.columns.items():
                kind = {"type": str(data_type), "unit": None, "meaning": None}
                title = _title(score.spec.title)
                where = {"category": None, "score": name}
                rows.append({"code": column, "title": title, **where, **kind, **self._access(column)})
        return orjson.dumps({"as_of": self.as_of, "tags": rows})

    def _access(self, code: str) -> dict[str, Any]:
        need = self._needs[code]
        return {"access": need.level, "masked": not self.reader.may(need)}


def _ready(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON already."""
    return {name: orjson.Fragment(orjson.dumps(value)) for name, value in values.items()}


def _title(title: Title) -> dict[str, str]:
    return {"zh": title.zh, "en": title.en}


def _when(origin: Mapping[str, Any]) -> dict[str, Any]:
    """The (as-of, known-at) address of what is served, and how far its data reach."""
    return {name: origin[name] for name in ("as_of", "known_at", "data_until", "snapshot")}
