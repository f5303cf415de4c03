"""Columns that hold personal data, told by their content first and their name second. Values are never handed out."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.data.profile import Profile
from workbench.data.trouble import Trouble, worst

if TYPE_CHECKING:
    import pandas as pd

MOST = 1_000
"""Distinct values of a column that are looked at."""


@dataclass(frozen=True)
class Sign:
    """One kind of personal data.

    content: holds for a value (stripped text). name: pattern of column names. share: of the distinct values that must
    hold; with a name that fits, `named` is enough. least: distinct values needed.
    """

    what: str
    content: Callable[[str], bool]
    name: str = r"(?!)"
    share: float = 0.9
    named: float = 0.5
    least: int = 10


def personal(
    profiles: Sequence[Profile], names: Iterable[str], read: Container[str] = (), declared: Container[str] = ()
) -> Iterator[Trouble]:
    """Columns with personal data. The count is of distinct values that look so; none is shown.

    read: columns the model reads; declared: those the team knows of.
    """
    for name in names:
        found = {p.name: hit for p in profiles if name in p.facts and (hit := _told(p, name))}
        if found:
            what = next(iter(found.values()))[0]
            counts = {p: (hit, looked) for p, (_, hit, looked) in found.items()}
            title = f"Holds {what}" + (", as declared" if name in declared else ", which is not declared")
            title += "; the legacy model reads it" if name in read else ""
            fix = f"frame = frame.drop(columns=[{name!r}])  # or declare it under roles.personal, and protect it"
            if trouble := worst("personal-data", name, counts, title, fix):
                yield trouble


def _told(p: Profile, name: str) -> tuple[str, int, int] | None:
    facts = p.facts[name]
    if facts.column.type in ("date", "datetime"):
        born = _plain(name) and re.search(BIRTH, _plain(name)) is not None
        return ("birth dates", facts.present, facts.present) if born and facts.distinct >= 10 else None
    values = _values(p.frame[name], facts.column.type)
    for sign in SIGNS:
        hits = sum(map(sign.content, values))
        needed = sign.named if re.search(sign.name, _plain(name)) else sign.share
        if len(values) >= sign.least and hits >= max(1, needed * len(values)):
            return sign.what, hits, len(values)
    inside = sum(EMAIL.search(value) is not None for value in values) if facts.column.type == "text" else 0
    return ("e-mail addresses inside text", inside, len(values)) if inside else None


def _values(column: pd.Series[Any], type_: str) -> list[str]:
    if type_ not in ("text", "integer"):
        return []
    distinct = column.dropna().drop_duplicates().head(MOST)
    if type_ == "integer":
        distinct = distinct.astype("int64")
    return [text for value in distinct if (text := str(value).strip())]


def _plain(name: str) -> str:
    """`customerEmail`, `Customer E-Mail` → `customer_email`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_").replace("e_mail", "email")


EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_PHONE = re.compile(r"(\+|00)\d{1,3}[ ()./\-\d]{6,18}|\(?0?\d{2,5}\)?[ /.-]\d{3,4}[ .-]?\d{3,6}|\d{10,12}")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
_NINO = re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", re.IGNORECASE)
_IP = re.compile(r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)|([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}", re.I)
_STREET = re.compile(r"\d{1,5} [\w .'-]+ (street|st|avenue|ave|road|rd|lane|ln|drive|dr|blvd|boulevard|way|court|ct)\.?"
                     r"|[\w .'-]+(straße|strasse|str\.|weg|platz|gasse|straat|laan) \d{1,4}[a-z]?", re.I)  # fmt: skip
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./](19|20)\d{2}")
_WORDS = re.compile(r"[^\W\d_][\w'’.-]*( [^\W\d_][\w'’.-]*){0,3}")
BIRTH = r"(^|_)(dob|birth|birthday|birthdate|born|geburtsdatum|date_of_birth)(_|$)|birth_?da"
_COMMON = """
james john robert michael william david richard joseph thomas charles mary patricia jennifer linda elizabeth
barbara susan jessica sarah karen daniel matthew anthony mark paul steven andrew joshua kenneth kevin nancy lisa
betty sandra ashley emily donna michelle carol amanda anna maria peter hans klaus jürgen wolfgang andreas stefan
sabine petra monika ursula jean pierre marie françois michel nathalie isabelle sophie juan josé luis carlos
carmen ana giuseppe giovanni francesco antonio marco giulia francesca jan piet kees johan erik lars anders olga
ivan dmitri sergei natalia mohammed ahmed ali fatima aisha omar hassan wei li chen yuki hiroshi kenji raj priya
anil sunita ada ben cleo dan eva finn hugo ida jon kim leo mia ned per quin rosa sam tess vic zoe lena max felix
emma noah oliver lucas ella lily grace alice adam alex laura julia nina clara tom tim oscar george harry jack
amy kate jane helen ruth rose ian neil owen ryan sean eric frank gary henry jason justin larry lee luke nick
ralph ray roger roy scott terry tony victor walter wes gia kay may joy una uma"""
GIVEN = frozenset(_COMMON.split())
"""Given names frequent in Europe, America and Asia; a full name begins or ends with one often enough."""


def _digits(value: str) -> list[int]:
    return [int(c) for c in value if c.isdigit()]


def iban(value: str) -> bool:
    """ISO 13616: letters to numbers, first four characters last, remainder 1 modulo 97."""
    plain = value.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def luhn(value: str) -> bool:
    """Card numbers of 13 to 19 digits, ISO/IEC 7812-1 annex B."""
    digits = _digits(value)
    if not re.fullmatch(r"[3-6][\d -]+", value) or not 13 <= len(digits) <= 19:
        return False
    doubled = [sum(divmod(2 * d, 10)) if i % 2 else d for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def national_id(value: str) -> bool:
    """Social security, tax and citizen numbers by their check digits: US, GB, ES, NL, PL, FR, DE."""
    return bool(_SSN.fullmatch(value) or _NINO.fullmatch(value)) or any(
        check(value.replace(" ", "").upper()) for check in (_spanish, _dutch, _polish, _french, _german)
    )


def _spanish(value: str) -> bool:
    found = re.fullmatch(r"([XYZ]?)(\d{7,8})([A-Z])", value)
    if not found or len(found[1] + found[2]) != 8:
        return False
    number = int({"X": "0", "Y": "1", "Z": "2"}.get(found[1], "") + found[2])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == found[3]


def _dutch(value: str) -> bool:
    if not re.fullmatch(r"\d{9}", value) or value == "000000000":
        return False
    return sum(w * d for w, d in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), _digits(value))) % 11 == 0


def _polish(value: str) -> bool:
    if not re.fullmatch(r"\d{11}", value) or int(value[2:4]) % 20 not in range(1, 13):
        return False
    *rest, check = _digits(value)
    return (10 - sum(w * d for w, d in zip((1, 3, 7, 9, 1, 3, 7, 9, 1, 3), rest)) % 10) % 10 == check


def _french(value: str) -> bool:
    return bool(re.fullmatch(r"[12]\d{14}", value)) and 97 - int(value[:13]) % 97 == int(value[13:])


def _german(value: str) -> bool:
    """Steuer-ID: eleven digits, ISO 7064 MOD 11,10."""
    if not re.fullmatch(r"[1-9]\d{10}", value):
        return False
    product = 10
    for digit in _digits(value)[:10]:
        total = (digit + product) % 10 or 10
        product = 2 * total % 11
    return (11 - product) % 10 == int(value[10])


def _person(value: str) -> bool:
    first = value.replace(",", " ").split(" ")
    return bool(_WORDS.fullmatch(value.replace(",", ""))) and any(word.casefold() in GIVEN for word in first)


_NAME = r"(^|_)(full|first|last|given|family|middle|sur|person|customer|client|patient|employee|applicant)_?name(_|$)"
SIGNS: tuple[Sign, ...] = (
    Sign("e-mail addresses", lambda v: EMAIL.fullmatch(v) is not None, r"(^|_)e?mail", least=1),
    Sign("IBANs", iban, r"iban|bank_?account", named=0.3, least=2),
    Sign("payment card numbers", luhn, r"card|pan", named=0.8),
    Sign("national identity numbers", national_id, r"ssn|social_security|tax_id|nino|bsn|pesel|insee|passport", 0.95),
    Sign("IP addresses", lambda v: _IP.fullmatch(v) is not None, r"(^|_)ip(_|$)"),
    Sign("birth dates", lambda v: _DAY.fullmatch(v) is not None, BIRTH, share=2.0),
    Sign(
        "telephone numbers",
        lambda v: _PHONE.fullmatch(v) is not None,
        r"phone|mobile|(^|_)(tel|fax|cell)(_|$)",
        share=2.0,
    ),
    Sign("telephone numbers", lambda v: v[:1] in "+(" and _PHONE.fullmatch(v) is not None),
    Sign("street addresses", lambda v: _STREET.fullmatch(v) is not None, r"address|street", named=0.3),
    Sign("names of persons", lambda v: _WORDS.fullmatch(v.replace(",", "")) is not None, _NAME, share=2.0),
    Sign("names of persons", _person, share=0.5),
)
"""Most certain first; the first that holds names the column. share = 2: only with a name that fits."""
