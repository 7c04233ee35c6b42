"""Whether a column may hold personal data: told by its name and by the forms of its values, both as evidence.

Suspecting too much costs a mask; suspecting too little prints a phone number. So one of the two is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

from valtag_assets.engine.inventory.profile import Counted, Suspicion
from valtag_assets.engine.inventory.words import BIRTH, DEVICES, IDENTIFIER, PERSON, THINGS, names_person, words
from valtag_assets.spec.block import Title

ENOUGH = 0.3  # of the values
_HANDFUL = 50  # a column called client with nine values holds programs
_NAMED = 0.9  # of the values, where the form alone (two or three Chinese characters) says little


@dataclass(frozen=True)
class _Kind:
    what: Title
    by_name: Callable[[frozenset[str]], bool]
    form: str | None = None
    least: float = ENOUGH
    sensitive: bool = False


def _any(*known: str) -> Callable[[frozenset[str]], bool]:
    return lambda found: bool(found & set(known))


def _person_name(found: frozenset[str]) -> bool:
    if found & {"nickname", "recipient", "salesperson", "manager", "adviser"} and not found & IDENTIFIER:
        return True
    named = bool(found & {"name", "surname", "firstname", "lastname", "fullname"})
    return named and not found & THINGS and bool(found <= {"name", "real", "full", "first", "last"} or found & PERSON)


_ACCOUNTS = frozenset({"card", "account"})
_CONTACTS = frozenset({"contact", "person", "emergency", "name", "info"})
_KINDS = (
    _Kind(Title(zh="身份证号", en="id card"), lambda f: {"id", "card"} <= f or "idcard" in f, "id_card", 0.05),
    _Kind(Title(zh="手机号", en="phone"), _any("phone", "mobile", "tel", "telephone", "cellphone"), "phone", 0.7),
    _Kind(Title(zh="座机号", en="landline"), lambda f: False, "landline"),
    _Kind(Title(zh="邮箱", en="e-mail"), _any("email", "mail", "emailaddress"), "email", 0.05),
    _Kind(Title(zh="地址", en="address"), _any("address", "addr", "street"), "address"),
    _Kind(Title(zh="姓名", en="name"), _person_name, "person_name", _NAMED),
    _Kind(Title(zh="OpenID", en="OpenID"), _any("openid", "unionid", "wechat", "qq"), "openid"),
    _Kind(Title(zh="设备标识", en="device id"), lambda f: bool(f & DEVICES) and not f & {"type", "model", "brand"}),
    _Kind(Title(zh="IP 地址", en="IP address"), _any("ip"), "ip"),
    _Kind(Title(zh="文本中的手机号", en="phone inside text"), lambda f: False, "phone_inside", 1e-9),
    _Kind(Title(zh="文本中的邮箱", en="e-mail inside text"), lambda f: False, "email_inside", 1e-9),
    _Kind(Title(zh="银行账号", en="bank account"), lambda f: "iban" in f or ("bank" in f and bool(f & _ACCOUNTS))),
    _Kind(Title(zh="证照号", en="identity document"), lambda f: "passport" in f or {"driving", "licence"} <= f),
    _Kind(Title(zh="车牌号", en="licence plate"), lambda f: "plate" in f),
    _Kind(Title(zh="联系人", en="contact"), lambda f: "contact" in f and f <= _CONTACTS),
    _Kind(Title(zh="生日", en="birth date"), lambda f: bool(f & BIRTH), sensitive=True),
)
_TEXTS = ("phone_inside", "email_inside", "person_name", "address", "landline")


def suspect(counted: Counted, *, of_persons: bool) -> Suspicion | None:
    """Why the column may hold personal data, or None; ``of_persons``: its table has the key of a person, too."""
    found = words(counted.name)
    for kind in _KINDS:
        named = kind.by_name(found) and (of_persons or found != {"name"})
        share = counted.share(kind.form) if kind.form else 0.0
        by_value = share >= kind.least and not (kind.form in _TEXTS and _numeric(counted))
        if named or by_value:
            return Suspicion(kind.what, named, share, kind.sensitive)
    if is_person_key(counted):
        return Suspicion(Title(zh="人员键", en="key of a person"), True, 0.0, sensitive=True)
    return None


def is_person_key(counted: Counted) -> bool:
    """Whether the column names persons: by its name, and there are more than a handful."""
    by_id = bool(words(counted.name) & IDENTIFIER)
    return names_person(counted.name) and (by_id or counted.distinct > _HANDFUL)


def _numeric(counted: Counted) -> bool:
    return counted.raw not in ("VARCHAR",) or counted.share("number") > 0.99
