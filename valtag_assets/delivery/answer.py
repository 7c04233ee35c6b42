"""What an HTTP answer says of each message of a batch."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from valtag_assets.delivery.message import Outcome
from valtag_assets.spec.destination import Answer

_LONGEST_REASON = 200
_NUMBERS = re.compile(r"\d(?:[ -]?\d){4,}")
_WANTS_NOTHING = (429, 503)
_NOT_LET_IN = (401, 403, 407)
_LATER = (408, 409, 425)
_NO_SUCH_THING = (501, 505)


def classify(
    status: int, headers: Mapping[str, str], body: bytes, answer: Answer, messages: int, now: datetime
) -> list[Outcome]:
    """An outcome for each of so many messages, in their order, from the answer to one request.

    The status decides first, then the codes that ``answer`` finds in the body: there are gateways that say 200 and
    mean no. What can't be understood is uncertain.
    """
    if 200 <= status < 300:
        return _by_codes(body, answer, messages)
    reason = f"HTTP {status}{_said(body, answer)}"
    if status in _WANTS_NOTHING:
        outcome = Outcome("pause", reason, retry_after(headers, now))
    elif status in _NOT_LET_IN:
        outcome = Outcome("halt", reason)
    elif 300 <= status < 400:
        outcome = Outcome("halt", f"HTTP {status}: it sends us to another address, and we do not follow")
    elif status in _LATER:
        outcome = Outcome("retry", reason, retry_after(headers, now))
    elif status >= 500 and status not in _NO_SUCH_THING:
        outcome = Outcome("uncertain", reason, retry_after(headers, now))
    else:
        outcome = Outcome("split" if messages > 1 else "rejected", reason)
    return [outcome] * messages


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The header Retry-After in seconds from ``now`` (RFC 9110, 10.2.3: seconds or a date); None without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _by_codes(body: bytes, answer: Answer, messages: int) -> list[Outcome]:
    if answer.code is None and answer.reference is None:
        return [Outcome("ok")] * messages
    try:
        whole = json.loads(body)
    except ValueError:
        return [Outcome("uncertain", "its answer is no JSON")] * messages
    if answer.rows is None:
        return [_by_code(whole, answer, alone=messages == 1)] * messages
    rows = _at(whole, answer.rows)
    if isinstance(rows, list) and len(rows) == messages:
        return [_by_code(row, answer, alone=True) for row in rows]
    # The receiver refused the request as a whole, in the same words as it would a message.
    refusal = _by_code(whole, answer, alone=messages == 1)
    if refusal.kind in ("retry", "pause", "halt", "split", "rejected") and _at(whole, answer.code) is not None:
        return [refusal] * messages
    return [Outcome("uncertain", f"its answer has no outcome for each of {messages} messages")] * messages


def _by_code(found: Any, answer: Answer, *, alone: bool) -> Outcome:
    """``alone``: the code is about one message; else about all of a batch, so a refusal may be of one of them."""
    if answer.code is None:
        return Outcome("ok", reference=_reference(found, answer))
    code = _at(found, answer.code)
    if code is None:
        return Outcome("uncertain", f"its answer has no {answer.code}")
    text = str(code).lower() if isinstance(code, bool) else str(code)
    if text in answer.ok:
        return Outcome("ok", reference=_reference(found, answer))
    reason = f"{answer.code} {text[:20]}{_message(found, answer)}"
    if text in answer.retry:
        return Outcome("retry", reason)
    if text in answer.pause:
        return Outcome("pause", reason)
    if text in answer.halt:
        return Outcome("halt", reason)
    return Outcome("rejected" if alone else "split", reason)


def _said(body: bytes, answer: Answer) -> str:
    """What the body of a refusal says, where the answer's rules tell where to look."""
    try:
        whole = json.loads(body)
    except ValueError:
        return ""
    code = _at(whole, answer.code)
    coded = "" if code is None else f" {answer.code} {str(code)[:20]}"
    return f"{coded}{_message(whole, answer)}"


def _message(found: Any, answer: Answer) -> str:
    """The receiver's own words, without numbers that may be somebody's."""
    text = _at(found, answer.message)
    if not isinstance(text, str) or not text:
        return ""
    return f": {_NUMBERS.sub('…', ' '.join(text.split()))[:_LONGEST_REASON]}"


def _reference(found: Any, answer: Answer) -> str:
    """The receiver's name for the message; a text of several words is none, and may say anything of anybody."""
    value = _at(found, answer.reference)
    text = "" if value is None else str(value)
    return "" if any(character.isspace() for character in text) else text[:_LONGEST_REASON]


def _at(found: Any, path: str | None) -> Any:
    """What lies at a dotted path of keys and, in lists, numbers; None if nothing does."""
    if path is None:
        return None
    for key in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, Sequence) and not isinstance(found, str) and key.isdigit():
            found = found[int(key)] if int(key) < len(found) else None
        else:
            return None
    return found
