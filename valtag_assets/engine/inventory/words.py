"""What the words of a column's name say about it, after the naming law has put them into English."""

from valtag_assets.spec.naming_law import english_words


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


PERSON = _set("user usr uid member mbr customer cust client buyer person student patient openid unionid subscriber")
_PERSON_IDS = _set("id no code key number card unique account")
IDENTIFIER = _set(
    "id no code cd key number card sku uid barcode openid unionid cookie session zip postcode phone mobile tel idcard"
    " uuid guid serial invoice isbn"
)
CLASS = _set(
    "type category cate cat brand gender sex status action model channel state province city region class group"
    " method subcategory segment currency unit store shop country district platform event origin occupation education"
)
MEASURE = _set(
    "amount amt price cost fee sales profit quantity qty count cnt points balance age level lv lvl rate ratio score"
    " rating discount bal tot dwell duration total income spend stock weight mount revenue tax budget days distance"
    " minutes seconds"
)
MONEY = _set("amount amt price cost fee sales profit spend revenue income tax balance budget commission refund")
NEVER_NEGATIVE = _set("quantity qty count cnt price age stock weight dwell duration points rating")
TIME = _set("time date day at on ts tm timestamp dt datetime birthday birth dob expires start end begin registered")
CALENDAR = _set("year month day week hour quarter weekday")
BIRTH = _set("birth birthday dob")
UPDATED = _set("updated modified update modify")
PROFILE_TIMES = BIRTH | UPDATED | _set("register registered reg joined expires launched login")
PROFILE = _set(
    "name gender sex age birth birthday level lv phone mobile email address city province registered register reg"
    " points occupation education income nickname joined"
)
EVENTFUL = _set(
    "order ordered amount quantity qty item product sku event action paid session auction buy mount price behavior"
)
# What an id that tells one event from another is called by.
EVENT_IDS = _set("order event line transaction trade invoice bill ticket payment receipt campaign response suborder")
DEVICES = _set("cookie device imei idfa oaid mac openid unionid")
# ``name`` beside one of these names a thing.
THINGS = _set(
    "product brand category campaign channel store shop item goods course event page file city province company"
    " activity merchant subcategory type model en zh sku coupon"
)


def words(name: str) -> frozenset[str]:
    """The English words of a column's name: 客户 ID → {customer, id}."""
    return frozenset(english_words(name))


def names_person(name: str) -> bool:
    """Whether a column's name says that it holds a person's key."""
    found = words(name)
    return bool(found & PERSON) and found - PERSON <= _PERSON_IDS


def names_time(name: str) -> bool:
    """Whether a column's name says that it holds a date or time."""
    return bool(words(name) & TIME)
