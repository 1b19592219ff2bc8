"""Read a telephone number as people and systems write it: remove the text around the digits, and keep its meaning.

Sources: HL7 v2.5.1 TN (2A.3.79): `[NN] [(999)]999-9999[X99999][B99999][C any text]`; RFC 3966 (`tel:` with `ext` and
`phone-context`), RFC 5724 (`sms:`); Unicode's general categories and default-ignorable characters. The rules of the file:

- Invisible characters (direction and width marks, byte order mark, soft hyphen) are ignored. Every kind of space is a
  space, every kind of dash a hyphen, every decimal digit its value; full-width forms are read as ASCII.
- Words may be before or after the number (`Cell: ...`, `... (home)`, `tel:...`) if all of them are known here. They say
  what kind of line it is. With an unknown word (`mother`) the number counts as somebody else's.
- A word that forbids (`no`, `not`, `only`), wherever it stands, forbids texts. "No" means number only in a label, directly after a
  word for a telephone (`Tel. No. ...`).
- TN's comment is a `C` directly behind the digits; what it says, and what XTN.9 says, is read as a remark (`remark_on`).
- `0`, `000`, `N/A` as extension are placeholders and mean no extension.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote

Use = Literal["cell", "own", "work", "landline", "never", "plain"]
"""What a word says about a line; `plain`: nothing (`tel`, `phone`); `never`: a fax, a pager or another line without texts."""

LEAST_DIGITS: Final = 7
EXTENSION: Final = "an extension cannot be texted"
NO_NUMBER: Final = "holds no telephone number"
NOT_ALONE: Final = "holds more than a telephone number"
TWO_NUMBERS: Final = "holds more than one telephone number"
TOO_LONG: Final = "is too long for a telephone number"
NO_TEXTS: Final = "is labelled as a line that takes no texts"
_MAX_TEXT: Final = 160  # a spelling of 15 digits with a URI's parameters or a remark; bounds what the patterns can cost


class Spelling(NamedTuple):
    """A text split into number and words.

    Attributes:
        number: digits with `+`, parentheses, spaces, `.`, `/` and `-` between them; "": none.
        uses: what the words around it say about the line.
        fault: why it is not a number of the patient; None: it may be one.
    """

    number: str
    uses: frozenset[Use] = frozenset()
    fault: str | None = None


def spelled(text: str) -> Spelling:
    """The number in a text, and what the text says about it."""
    if _ALONE.fullmatch(text) is not None:  # the usual case
        return Spelling(text)
    text = " ".join(plain(text).split())
    if len(text) > _MAX_TEXT:
        return Spelling("", fault=TOO_LONG)
    uri = _SCHEME.match(text) is not None
    if uri:
        text = " ".join(plain(unquote(text)).split())
    match = None if "@" in text else _SPELLING.fullmatch(text)
    if match is None:
        return Spelling("", fault=NO_NUMBER)
    number, rest = match["number"], match["rest"]
    if uri:
        number, rest = _without_parameters(number, rest)
    label = uses_of(match["label"])
    if label is None:
        return Spelling(number, fault=_fault_of(_words(match["label"])))
    remark = _remark(rest)
    if isinstance(remark, str):
        return Spelling(number, fault=remark)
    uses = label | remark
    if "never" in uses:
        return Spelling(number, uses, NO_TEXTS)
    return Spelling(number, uses)


def digits_in(text: str) -> int:
    """How many decimal digits a text holds, in any script."""
    return 0 if not text else len(_DIGIT.findall(text))


def is_extension(text: str) -> bool:
    """Whether what stands in an extension's place is one: it has a digit, is no placeholder, and is no longer than 40 characters.

    What is longer, marks around it not counted, is a remark.
    """
    text = plain(text).strip(_MARKS)
    return len(text) <= _MAX_EXTENSION and digits_in(text) > 0 and not is_placeholder(text)


def is_placeholder(text: str) -> bool:
    """Whether what stands in an extension's place says that there is none: `0`, `000`, `x0`, `N/A`, `ext.`, marks, nothing."""
    text = plain(text).strip(_MARKS)
    if len(text) > _MAX_EXTENSION:
        return False
    word = "".join(filter(str.isalnum, text)).casefold()
    rests = [word.removeprefix(name) for name in _EXTENSION_NAMES]
    return any(rest in _NOTHING or not rest.strip("0") for rest in rests)


def uses_of(text: str, shortest: int = 1) -> frozenset[Use] | None:
    """What the words of a text say about a line; None: it holds an unknown word, or an address.

    Args:
        shortest: shorter words are not known: in a field for codes, `F` does not mean fax.
    """
    if not text or text.isspace():
        return frozenset()
    if "@" in text:
        return None
    words = _words(_without_number_sign(text))
    if "only" in words and not {"voice", "call", "calls"}.isdisjoint(words):
        return frozenset({"never"})
    uses = [_WORDS.get(word) if len(word) >= shortest else None for word in words]
    return None if None in uses else frozenset(use for use in uses if use is not None and use != "plain")


def remark_on(text: str) -> frozenset[Use] | str:
    """What a free text beside a number says about its line, or the fault; unknown words say nothing."""
    uses = uses_of(text, _SHORTEST_WORD)
    words = [word for word in _words(text) if word not in _OTHER_CHANNELS]
    fault = _fault_of(words)
    if uses is not None and "only" in words and "never" not in uses:  # "cell only"
        return uses
    if fault is NO_TEXTS or any(len(word) >= _SHORTEST_WORD and _WORDS.get(word) == "never" for word in words):
        return NO_TEXTS
    if not _SOMEBODY_ELSE.isdisjoint(words) or not _CARE_OF.isdisjoint(pairwise(words)):
        return NOT_ALONE
    return (uses or frozenset()) - {"never"}


def plain(text: str) -> str:
    """The text in ASCII as far as it can be a number: without invisible characters, with ordinary spaces, dashes and digits."""
    return text if text.isascii() else "".join(map(_plain_character, text))


_DIGIT: Final = re.compile(r"\d")
# A number in the label, as in "Cell 2:", is not part of the telephone number.
_SPELLING: Final = re.compile(
    r"(?P<label>[^0-9]*?(?:[0-9]\s*[:)]\s?[^0-9]*?)?)"
    r"(?P<number>(?:\+\s*)?[(\[]?\s*[0-9](?:[()\[\]\s./-]*[0-9]){6,})"
    r"(?P<rest>.*)",
    re.DOTALL,
)
_ALONE: Final = re.compile(r"\+?\(?[0-9](?:[() ./-]{0,2}[0-9]){6,14}")
_SCHEME: Final = re.compile(r"(?:tel|sms|smsto|mms|mmsto|callto|fax):", re.IGNORECASE)
_PARAMETER: Final = re.compile(r";\s*([A-Za-z-]+)\s*=([^;?]*)")
_MARK: Final = re.compile(r"[\s(]*(?:ext(?:ension|n)?|xt|x(?![A-Za-z])|[;,#])(?P<tail>.*)", re.IGNORECASE | re.DOTALL)
_MARKS: Final = "".join(chr(code) for code in range(128) if not chr(code).isalnum())
_MAX_EXTENSION: Final = 40
_EXTENSION_NAMES: Final = ("", "extension", "extn", "ext", "x")
_NOTHING: Final = frozenset({"na", "none", "null", "nil", "unk", "unknown"})
_WORD: Final = re.compile(r"[^\W\d_]+")
_TN_COMMENT: Final = re.compile(r"C(?![^\W\d_])")
_COMMENT_WITH_DATE: Final = re.compile(r"C(?![^\W\d_])[^0-9]*[0-9]{4}-[0-9]{2}-[0-9]{2}[^0-9]*")
_SHORTEST_WORD: Final = 3  # of a remark; `F` does not mean fax there
_NOT: Final = re.compile(r"(?<=n)['\u2019](?=t\b)")  # "don't"
_POSSESSIVE: Final = re.compile("['\u2019]s\\b")  # "patient's cell"


def _without_parameters(number: str, rest: str) -> tuple[str, str]:
    """A URI's number with its context before it. Of its parameters only an extension is kept."""
    context, kept = "", ""
    for name, value in _PARAMETER.findall(rest.partition("?")[0]):
        if name.lower() == "phone-context" and value.strip().startswith("+"):
            context = value.strip()
        elif name.lower() in ("ext", "postd"):
            kept += f" ext {value}"
    if not rest.startswith((";", "?")):
        kept = rest + kept
    return (number if number.startswith("+") or not context else f"{context} {number}"), kept


def _remark(rest: str) -> frozenset[Use] | str:
    """The text after the number: what it says about the line, or a fault."""
    if not rest or rest.isspace():
        return frozenset()
    if digits_in(rest) >= LEAST_DIGITS and not _COMMENT_WITH_DATE.fullmatch(rest):
        fault = _fault_of(_words(rest))
        return fault if fault is NO_TEXTS else TWO_NUMBERS
    mark = _MARK.match(rest)
    if mark is not None:
        tail = mark["tail"]
        if is_extension(tail):
            return EXTENSION
        return frozenset() if is_placeholder(tail) else _uses_or_fault(tail)
    if _TN_COMMENT.match(rest) is not None:
        return remark_on(rest) if _words(rest)[:2] == ["c", "o"] else remark_on(rest[1:])
    return _uses_or_fault(rest)


def _uses_or_fault(text: str) -> frozenset[Use] | str:
    uses = uses_of(text)
    return _fault_of(_words(text)) if uses is None or digits_in(text) else uses


def _fault_of(words: list[str]) -> str:
    """The fault of a text with unknown words: it forbids texts, or nobody knows what it says."""
    return NOT_ALONE if _FORBIDDING.isdisjoint(words) else NO_TEXTS


def _without_number_sign(text: str) -> str:
    """A label without the abbreviation of "number" at its end: "Tel. No.", not "Text: no"."""
    bare = text.rstrip(" .:#")
    head = bare[:-2].rstrip(" .")
    if bare[-2:].casefold() != "no" or head == bare[:-2] or not head[-1:].isalpha():
        return text
    return head if _words(head)[-1:] and _words(head)[-1] in _TELEPHONES else text


def _words(text: str) -> list[str]:
    """The words of a text in small letters without accents."""
    if not text.isascii():
        # Character by character: normalising a text takes quadratic time where it has many accents on one letter.
        marks = chain.from_iterable(unicodedata.normalize("NFKD", character) for character in text)
        text = "".join(mark for mark in marks if not unicodedata.combining(mark))
    return _WORD.findall(_POSSESSIVE.sub("", _NOT.sub("", text.casefold()).replace("n\u00b0", " ")))


def _plain_characters() -> Iterator[tuple[str, str]]:
    for characters, written in (
        ("\u034f\u115f\u1160\u17b4\u17b5\u20e3\u3164\uffa0", ""),  # ignorable beside category Cf; the keycap's frame
        ("\u02d7\u2043\u2053\u2212\u223c\u30fc\uff5e\uff70", "-"),  # dashes beside category Pd
        ("\u00b7\u2022\u2024\u2027\u2219\u22c5\u30fb\uff65\u3002", "."),
        ("\u2044\u2215", "/"),
        ("\u00ba\u02da", "\u00b0"),  # "N\u00ba"
        ("\u2795\ufb29", "+"),
    ):
        for character in characters:
            yield character, written


_PLAIN: Final = dict(_plain_characters())
_VARIATION_SELECTORS: Final = (*range(0xFE00, 0xFE10), *range(0x180B, 0x1810), *range(0xE0100, 0xE01F0))


@lru_cache(maxsize=2048)
def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    written = _PLAIN.get(character)
    if written is not None:
        return written
    category = unicodedata.category(character)
    if category == "Cf" or ord(character) in _VARIATION_SELECTORS:
        return ""
    if category[0] in "ZC":
        return " "
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.decimal(character))
    twin = unicodedata.normalize("NFKC", character)
    return twin if len(twin) == 1 and twin.isascii() and category != "No" else character


# Words that people write before or after a number, in the languages of the shipped texts and related languages.
_USES: Final[dict[Use, str]] = {
    "cell": """cell cellular cellphone cel celular celulaire mobile mobil mob mobiltelefon movil cellulaire portable natel handy
        cellulare wireless gsm smartphone iphone android sms smsto mms mmsto text texts textable txt m c""",
    "own": """home hm house h personal personnel private priv own self patient pt residence residential res casa domicilio
        domicile maison particular pers""",
    "work": "work wk wrk w business bus office off ofc job trabajo oficina travail bureau employer",
    "landline": "landline land fixed fijo fixe",
    "never": "fax facsimile telefax f pager beeper pgr modem tdd tty teletype voicemail vm email mail",
    "plain": """tel tele telephone telefono telefon phone phones ph fon fone tlf callto p t number num nr nbr numero type value
        uri voice pref preferred primary best main contact day daytime evening eve night us usa ca international intl and or the
        my only please is verified call calls ok okay to can yes
        y si oui ja""",
}
_WORDS: Final[dict[str, Use]] = {word: use for use, words in _USES.items() for word in words.split()}

_LISTS: Final = {
    "telephones": """tel tele telephone telephones telefono telefon phone phones ph fon fone tlf cell cellular cellphone cel celular
        mobile mobil mob movil fax pager number contact""",
    "forbidding": """no n not non nein nicht kein keine nunca jamas jamais never pas ne nao dont cant cannot wont doesnt isnt
        shouldnt mustnt without sin sans ohne only solo solamente seulement nur stop refused refuses refuse declined declines
        decline wrong former disconnected""",
    "somebody else": """mother mom mum mama mommy madre mere father dad papa daddy padre pere parent parents padres wife husband
        spouse partner esposa esposo marido mujer mari femme son sons daughter daughters hijo hija fils fille sister brother hermana
        hermano soeur frere aunt uncle tia tio niece nephew cousin prima primo grandmother grandma grandfather grandpa abuela abuelo
        guardian tutor caregiver caretaker carer friend amigo amiga ami amie neighbor neighbour vecino vecina relative relatives
        family familia famille roommate boyfriend girlfriend fiance fiancee novio novia attorney lawyer abogado""",
}
_TELEPHONES, _FORBIDDING, _SOMEBODY_ELSE = (frozenset(words.split()) for words in _LISTS.values())
_CARE_OF: Final = frozenset({("c", "o"), ("care", "of")})
_OTHER_CHANNELS: Final = frozenset({"voicemail", "vm", "email", "mail"})
"""Beside a number these say how else to reach the patient; as its label they say what it is."""
