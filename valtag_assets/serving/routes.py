"""What can be asked. A handler reads the open store and answers without waiting, but for the past."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from valtag_assets.delivery.receipts import BadReceipt, land, read_receipt
from valtag_assets.engine.access import person_need
from valtag_assets.engine.reader import Reader
from valtag_assets.serving import documents as doc
from valtag_assets.serving.answers import Answers, View
from valtag_assets.serving.keys import Caller
from valtag_assets.serving.refusal import Refusal
from valtag_assets.serving.service import Service
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.audit_tally import Reading

CALLER = "valtag.caller"
AT_ONCE = 25  # persons between which nobody else is answered

PersonId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=doc.LONGEST_ID,
        description="The person's id; a former one; or with identity.yaml kind:key, as phone:13912345678.",
    ),
]
Tags = Annotated[
    str | None,
    Query(max_length=doc.LONGEST_TAGS, description="Only these tags and score columns: codes with commas between."),
]
AsOf = Annotated[
    str | None,
    Query(
        pattern=doc.DATE,
        json_schema_extra={"format": "date"},
        description="A published as-of, as 2024-01-31; the newest if left out. The past is slower: it has no store.",
    ),
]

router = APIRouter()
_PRIVATE = {"Cache-Control": "no-store"}  # what is known of a person stays with who asked
_WORDS = {
    401: "no key, or an unknown one",
    403: "above the role of the key",
    404: "not there",
    413: "too much at once",
    422: "a wrong question",
    503: "can't be read at present",
}


def _answers(model: type[Any], *codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer, for its documentation."""
    found: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    for code in (401, *codes):
        found[code] = {"model": doc.Error, "description": _WORDS[code]}
    return found


@router.get("/persons/{person_id}", responses=_answers(doc.Person, 403, 404, 422, 503))
async def person(request: Request, person_id: PersonId, tags: Tags = None, as_of: AsOf = None) -> Response:
    """Tags, scores and segments of one person. An id with a / in it is asked for by POST /persons."""
    answers, person_id, record = await _found(request, person_id, as_of)
    view = _view(answers, tags)
    body = answers.person(person_id, record, view)
    return await _told(request, "persons", body, tags=(*view.tags, *view.scores), person=person_id)


@router.post("/persons", responses=_answers(doc.Persons, 403, 404, 413, 422, 503))
async def persons(request: Request, asked: doc.Asked) -> Response:
    """The same of up to 1,000 persons."""
    wanted = list(dict.fromkeys(asked.persons))
    answers, found = await _records(request, wanted, asked.as_of)
    view = _view(answers, ",".join(asked.tags) if asked.tags else None)
    parts = []
    for some in _batches([name for name in wanted if name in found]):
        parts += [answers.part(*found[name], view, name) for name in some]
        await asyncio.sleep(0)
    body = answers.persons(parts, [name for name in wanted if name not in found], view)
    return await _told(request, "persons", body, rows=len(parts), tags=(*view.tags, *view.scores))


@router.get("/persons/{person_id}/segments", responses=_answers(doc.Memberships, 403, 404, 422, 503))
async def person_segments(request: Request, person_id: PersonId, as_of: AsOf = None) -> Response:
    """The segments a person is in."""
    answers, person_id, record = await _found(request, person_id, as_of)
    return await _told(request, "segments", answers.segments(person_id, record), person=person_id)


@router.get("/segments/{code}/persons/{person_id}", responses=_answers(doc.InSegment, 403, 404, 422, 503))
async def segment_person(request: Request, code: str, person_id: PersonId, as_of: AsOf = None) -> Response:
    """Whether a person is in a segment."""
    answers, person_id, record = await _found(request, person_id, as_of)
    body = answers.membership(person_id, record, code)
    return await _told(request, f"segments/{code}", body, tags=(code,), person=person_id)


@router.get("/persons/{person_id}/variant/{placement}", responses=_answers(doc.Variant, 403, 404, 422, 503))
async def person_variant(request: Request, person_id: PersonId, placement: str, as_of: AsOf = None) -> Response:
    """Which content a placement shows a person, and the rule that decided."""
    answers, person_id, record = await _found(request, person_id, as_of)
    body = answers.variant(person_id, record, placement)
    return await _told(request, f"placements/{placement}", body, tags=(placement,), person=person_id)


@router.post("/receipts", responses=_answers(doc.Kept, 403, 422))
async def receipts(request: Request, told: doc.Told) -> Response:
    """What came of messages. Kept when this answers; telling the same again changes nothing."""
    _only_known(request)
    if not _caller(request).receipts:
        raise Refusal(403, "this key may not tell receipts (access.yaml: keys, receipts: true)")
    found = []
    for number, item in enumerate(told.receipts):
        try:
            found.append(read_receipt(item.model_dump(exclude_defaults=True)))
        except BadReceipt as error:
            raise Refusal(422, f"receipts.{number}: {error}") from error
    await asyncio.to_thread(land, _service(request).place.receipts, found)
    return _json(orjson.dumps({"kept": len(found)}))


@router.get("/tags", responses=_answers(doc.Dictionary, 422))
async def tags(request: Request) -> Response:
    """The dictionary of tags and scores."""
    _only_known(request)
    return _json(_service(request).open.answers(_caller(request).reader).dictionary())


@router.get("/health", responses=_answers(doc.Health, 422))
async def health(request: Request) -> Response:
    """Whether the service is ready; with a key also the state of every table, how old its data are, what is held."""
    _only_known(request)
    service = _service(request)
    found: dict[str, Any] = {
        "ready": True,
        "catalog": service.place.resolved.catalog.project.name,
        "as_of": service.open.about["as_of"],
        "persons": service.open.about["persons"] if _counts_everybody(request) else None,
        "behind": service.behind,
        "trouble": None,
    }
    if request.scope.get(CALLER) is not None and _counts_everybody(request):
        found |= {"trouble": service.trouble, "tables": service.health}
    return _json(orjson.dumps(found))


def _counts_everybody(request: Request) -> bool:
    """Whether who asks may know how many persons of all brands there are."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is None:
        return _service(request).place.resolved.catalog.access.brands is None
    return caller.reader.brands is None


async def _told(
    request: Request, what: str, body: bytes, *, tags: Sequence[str] = (), rows: int = 1, person: str | None = None
) -> Response:
    """The answer, once it is on record. AuditError where it can't be: then nothing is told.

    Who reads personal data is on record with every person; of others, who show thousands a second their page, the
    answers of a kind are counted.
    """
    reader = _caller(request).reader
    if reader.level == "pii":
        await _record(request, reader, what, rows=rows, tags=tags, person=person)
        return _json(body)
    reading = Reading(reader.door, reader.user, what, reader.role, reader.purpose, tuple(tags))
    tally = _service(request).tally
    if not tally.join(reading, rows):
        await asyncio.to_thread(tally.count, reading, rows)
    return _json(body)


async def record_refusal(request: Request, message: str) -> None:
    """Put on record that a caller was refused."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is not None:
        await _record(request, caller.reader, request.scope["route"].path, refused=message)


async def _record(request: Request, reader: Reader, what: str, **more: Any) -> None:
    who: dict[str, Any] = {"actor": reader.user, "role": reader.role, "purpose": reader.purpose}
    record = partial(_service(request).place.audit.record, reader.door, what=what, **who, **more)
    await asyncio.to_thread(record)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers=_PRIVATE)


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


def _caller(request: Request) -> Caller:
    found: Caller = request.scope[CALLER]
    return found


def _view(answers: Answers, tags: str | None) -> View:
    return answers.whole if tags is None else answers.filtered(tags)


async def _found(request: Request, person: str, as_of: str | None) -> tuple[Answers, str, str]:
    """The answers to give, the person's id and record. Refusal for an unknown person or as-of."""
    answers, found = await _records(request, [person], as_of)
    if person not in found:
        raise Refusal(404, "no such person")
    return answers, *found[person]


async def _records(
    request: Request, wanted: Sequence[str], as_of: str | None
) -> tuple[Answers, dict[str, tuple[str, str]]]:
    """The answers to give, and (id, record) of those who are persons, by the name that was asked for."""
    if request.scope["query_string"]:
        _only_known(request)
    service, caller = _service(request), _caller(request)
    if not caller.reader.may(person_need(service.place.resolved)):
        raise Refusal(403, "this key may not ask about single persons (project.yaml: persons.access)")
    if as_of is not None and as_of != service.open.about["as_of"]:
        with service.open.held() as opened:
            named = {name: opened.person_named(name, caller.reader) for name in wanted}
        answers, then = await service.past(_date(as_of), caller.reader, list(dict.fromkeys(named.values())))
        found = {name: (person, then[person]) for name, person in named.items() if person in then}
        return answers, _of_own_brands(answers, found)
    found = {}
    with service.open.held() as opened:
        for number, some in enumerate(_batches(wanted)):
            if number:
                await asyncio.sleep(0)
            for name in some:
                person = opened.person_named(name, caller.reader)
                record = opened.records.find(person)
                if record is not None:
                    found[name] = person, record
    answers = opened.answers(caller.reader)
    return answers, _of_own_brands(answers, found)


def _of_own_brands(answers: Answers, found: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Those of whom the reader may know; the others are no persons to him."""
    return {name: (person, record) for name, (person, record) in found.items() if answers.knows(record)}


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Some persons at a time: between them others get their turn."""
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal(422, f"as_of={text} is no date; write it as 2024-01-31") from error


def _only_known(request: Request) -> None:
    """Refuse a parameter nobody reads: a misspelt filter must not answer another question."""
    known = sorted(param.alias for param in request.scope["route"].dependant.query_params)
    for name in request.query_params:
        if name not in known:
            raise Refusal(422, f"'{name[:60]}' is no parameter of this question{did_you_mean(name, known)}")
