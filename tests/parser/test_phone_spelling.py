"""parser/phone_spelling.py: whatever stands around a number's digits, the number is the same, and words say what it is."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser.phone_choice import read_number
from parser.phone_spelling import (
    EXTENSION,
    NO_NUMBER,
    NO_TEXTS,
    NOT_ALONE,
    TOO_LONG,
    TWO_NUMBERS,
    Use,
    plain,
    remark_on,
    spelled,
)

E164 = "+12025550143"
OF_CATEGORY: dict[str, list[str]] = {"Cf": [], "Zs": [], "Pd": [], "Nd": []}
for character in map(chr, range(sys.maxunicode + 1)):  # once for all: each process that runs tests does it
    if (category := unicodedata.category(character)) in OF_CATEGORY:
        OF_CATEGORY[category].append(character)
INVISIBLE: list[str] = OF_CATEGORY["Cf"] + list("\u034f\ufe0f\u3164")
SPACES: list[str] = OF_CATEGORY["Zs"] + ["\t", "\n", "\x85"]
DASHES: list[str] = OF_CATEGORY["Pd"] + list("\u2212\u2043\u30fc")
DIGITS = OF_CATEGORY["Nd"]
ZEROS = [digit for digit in DIGITS if unicodedata.decimal(digit) == 0]


@st.composite
def pasted(draw: st.DrawFn) -> str:
    """A number's spelling with marks anywhere, any space, any dash, and digits of any one script."""
    zero = ord(draw(st.sampled_from(ZEROS)))
    space, dash = draw(st.sampled_from(SPACES)), draw(st.sampled_from(DASHES))
    text = draw(st.sampled_from(("2025550143", "(202) 555-0143", "202-555-0143", "+1 202 555 0143", "+1-202-555-0143")))
    characters = []
    for character in text:
        written = {" ": space, "-": dash}.get(character, character)
        characters.append(chr(zero + int(character)) if character.isdigit() else written)
        characters += draw(st.lists(st.sampled_from(INVISIBLE), max_size=2))
    return draw(st.sampled_from(INVISIBLE)) + "".join(characters)


@given(pasted())
def test_marks_spaces_dashes_and_digits_of_any_script(text: str) -> None:
    assert read_number(text, "US").e164 == E164


@pytest.mark.parametrize("name", ["INVISIBLE", "SPACES", "DASHES", "DIGITS"])
def test_every_character_of_a_kind_is_read_alike(name: str) -> None:
    characters: list[str] = globals()[name]
    expected = {"INVISIBLE": "", "SPACES": " ", "DASHES": "-"}
    for character in characters:
        if name == "DIGITS":
            assert plain(character) == str(unicodedata.decimal(character))
        elif not character.isascii():
            assert plain(character) == expected[name], f"U+{ord(character):04X}"


def test_full_width_and_small_forms_are_their_twins() -> None:
    assert plain("＋１（２０２）５５５－０１４３") == "+1(202)555-0143"
    assert read_number("﹢1 ﹙202﹚ 555﹣0143", "US").e164 == E164


@pytest.mark.parametrize("mark", "²³¹⁴①½Ⅷ")
def test_a_footnotes_number_is_no_digit(mark: str) -> None:
    assert plain(mark) == mark


@pytest.mark.parametrize(
    "text",
    [
        "tel:+12025550143",
        "TEL:+1-202-555-0143",
        "tel:+1(202)555-0143",
        "tel://2025550143",
        "tel:%2B12025550143",
        "tel:202%20555%200143",
        "tel:5550143;phone-context=+1202",
        "tel:2025550143;phone-context=+1",
        "tel:2025550143;phone-context=lamna.example",
        "tel:+12025550143;isub=1411",
        "tel:+12025550143;ext=0",
        "sms:+12025550143",
        "sms:+12025550143?body=see%20you%20at%207",
        "smsto:2025550143",
        "callto:+12025550143",
        "TEL;TYPE=cell,voice;VALUE=uri:tel:+1-202-555-0143",
        "<+12025550143>",
        "'2025550143",
        '"(202) 555-0143"',
        "1(202)555-0143",
        "(+1) 202-555-0143",
        "[202] 555-0143",
        "202·555·0143",
        "202.555.0143",
        "202/555-0143",
        "2025550143,",
        "2025550143.",
        "+ 1 202 555 0143",
        "Phone: 2025550143",
        "Ph# 202-555-0143",
        "Tel. No. 202-555-0143",
        "Tél. : 202 555 0143",
        "N° 2025550143",
        "Preferred: 202-555-0143",
        "2025550143 (preferred)",
    ],
)
def test_a_uri_a_label_or_marks_around_a_number(text: str) -> None:
    reading = read_number(text, "US")
    assert (reading.e164, reading.fault) == (E164, None)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (
            "cell",
            "Cell Mobile CELL: cell# C M (C) Celular Móvil móvil Handy Portable Cellphone SMS Text iPhone Cellulaire",
        ),
        ("own", "Home H Casa Maison Personal (home) Domicile"),
        ("work", "Work W Office Oficina Bureau Business"),
        ("landline", "Landline Fijo Fixe"),
    ],
)
def test_a_word_says_what_a_line_is_before_and_behind_the_number(use: Use, words: str) -> None:
    for word in words.split():
        for text in (f"{word} 202-555-0143", f"{word}: 202-555-0143", f"202-555-0143 {word}", f"2025550143 ({word})"):
            spelling = spelled(text)
            assert (read_number(text, "US").e164, set(spelling.uses)) == (E164, {use}), text


@pytest.mark.parametrize(
    "text",
    ["Cell phone: 202-555-0143", "Mobile (preferred) 202-555-0143", "2025550143 - cell only", "Cell 2: 202-555-0143"],
)
def test_words_add_up(text: str) -> None:
    assert spelled(text).uses == frozenset({"cell"})
    assert read_number(text, "US").e164 == E164


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Fax 202-555-0143", NO_TEXTS),
        ("fax:+12025550143", NO_TEXTS),
        ("202-555-0143 (fax)", NO_TEXTS),
        ("Cell/Fax: 2025550143", NO_TEXTS),
        ("Pager 202-555-0143", NO_TEXTS),
        ("TTY 2025550143", NO_TEXTS),
        ("mother 202-555-0143", NOT_ALONE),
        ("202-555-0143 mother", NOT_ALONE),
        ("Do not call 202-555-0143", NO_TEXTS),
        ("No texts: 202-555-0143", NO_TEXTS),
        ("No 202-555-0143", NO_TEXTS),
        ("202-555-0143 no", NO_TEXTS),
        ("202-555-0143 voice only", NO_TEXTS),
        ("Calls only 202-555-0143", NO_TEXTS),
        ("202-555-0143 not ok to text", NO_TEXTS),
        ("mother's cell 202-555-0143", NOT_ALONE),
        ("a2025550143@test.example", NO_NUMBER),
        ("202-555-0143; 202-555-0150", TWO_NUMBERS),
        ("202-555-0143 or 202-555-0150", TWO_NUMBERS),
        ("sip:2025550143@test", NO_NUMBER),
        ("202-555-0143 x12", EXTENSION),
        ("202-555-0143 extension 9", EXTENSION),
        ("tel:+12025550143;ext=9", EXTENSION),
        ("2025550143#5", EXTENSION),
        ("2025550143,5", EXTENSION),
        ("tel:+12025550143;postd=5", EXTENSION),
        ("UNKNOWN", NO_NUMBER),
        ("NONE ON FILE", NO_NUMBER),
        ("555-014", NO_NUMBER),
        ("", NO_NUMBER),
        ("2" * 5000, TOO_LONG),
        ("202-555-XXXX", NO_NUMBER),
        ("***-***-0143", NO_NUMBER),
    ],
)
def test_what_is_no_number_of_the_patient(text: str, fault: str) -> None:
    assert (spelled(text).fault, read_number(text, "US").e164) == (fault, None)


NUMBER = "202-555-0143"
NO = ("no", "No", "NO", "no.", "N", "n", "not", "n\u00f3", "nein", "non", "never", "don't", "don\u2019t")
TEXTING = ("text", "Text", "texts", "sms", "SMS", "OK to text", "mobile texts", "text ok", "message ok to text")


@pytest.mark.parametrize("no", NO)
@pytest.mark.parametrize("texting", TEXTING)
def test_an_answer_of_no_is_a_no_wherever_it_stands(texting: str, no: str) -> None:
    for said in (f"{texting}: {no}", f"{texting} {no}", f"{texting}? {no}", f"{texting} - {no}", f"{no} {texting}"):
        for text in (
            f"{NUMBER} {said}",
            f"{NUMBER} ({said})",
            f"{said} {NUMBER}",
            f"{said}: {NUMBER}",
            f"cell {NUMBER} {said}",
        ):
            assert (spelled(text).fault, read_number(text, "US").e164) == (NO_TEXTS, None), text


@pytest.mark.parametrize(
    "word", ["Tel", "Telephone", "Phone", "Ph", "Number", "Cell", "Mobile", "Mob", "Cel", "Fon", "Telefono", "Tél"]
)
@pytest.mark.parametrize("number_sign", ["no", "No.", "no.:", "No :", "#", "number", "N\u00b0", "N\u00ba:"])
def test_the_abbreviation_of_number_is_no_answer(word: str, number_sign: str) -> None:
    for text in (f"{word} {number_sign} {NUMBER}", f"{word}. {number_sign} {NUMBER}"):
        assert (read_number(text, "US").e164, spelled(text).fault) == (E164, None), text


@pytest.mark.parametrize(
    "text", ["Fax no. 202-555-0143", "Pager no. 202-555-0143", "Home: no 202-555-0143", "Cell: No 202-555-0143"]
)
def test_a_no_behind_another_word_stays_a_no(text: str) -> None:
    assert spelled(text).fault == NO_TEXTS


@pytest.mark.parametrize(
    "text", [f"{NUMBER} text: yes", f"{NUMBER} (OK to text: Y)", f"text yes {NUMBER}", f"{NUMBER} sms: s\u00ed"]
)
def test_an_answer_of_yes_is_a_yes(text: str) -> None:
    assert (read_number(text, "US").e164, spelled(text).fault) == (E164, None)


@pytest.mark.parametrize(
    "remark",
    [
        " call, do not text",
        " call mother",
        " c/o mother",
        " C/O Robin",
        "C/o Robin",
        " call only after 5",
        "Cousin",
        "cousin",
        "Clinic",
        "CLINIC",
        " c call after five",
        " call after five",
        " Call after five",
        "C do not text",
        "C no texts",
        "C DON\u2019T TEXT",
        "C mother",
        "C mother's cell",
        "C only calls",
        "C: care of Robin",
        "C ask for Robin's father",
        "C fax",
        "C 202-555-0150",
        "x12C call after five",
        "C text: N",
        " Ccall mother",
    ],
)
def test_what_is_said_behind_a_number_is_heard(remark: str) -> None:
    assert spelled(NUMBER + remark).fault is not None, remark
    assert read_number(NUMBER + remark, "US").e164 is None


@pytest.mark.parametrize(
    "comment",
    ["C call after five", "C", "C, after work", "C 9 to 5", "C ok to leave voicemail", "C verified 2026-01-02"],
)
def test_the_comment_of_tn_stands_directly_behind_the_digits(comment: str) -> None:
    for number in (NUMBER, "2025550143", "(202)555-0143"):
        assert (read_number(number + comment, "US").e164, spelled(number + comment).fault) == (E164, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DO NOT TEXT", NO_TEXTS),
        ("no sms", NO_TEXTS),
        ("Texts: no", NO_TEXTS),
        ("voice only", NO_TEXTS),
        ("Fax", NO_TEXTS),
        ("landline, no text", NO_TEXTS),
        ("NO ENVIAR MENSAJES", NO_TEXTS),
        ("ne pas envoyer de SMS", NO_TEXTS),
        ("DON\u2019T TEXT", NO_TEXTS),
        ("mother", NOT_ALONE),
        ("belongs to her son", NOT_ALONE),
        ("c/o Robin", NOT_ALONE),
        ("care of Robin", NOT_ALONE),
        ("cell", frozenset({"cell"})),
        ("cell only", frozenset({"cell"})),
        ("Landline", frozenset({"landline"})),
        ("", frozenset()),
        ("call after five", frozenset()),
        ("ok to leave voicemail", frozenset()),
        ("preferred", frozenset()),
        ("C", frozenset()),
        ("F", frozenset()),
    ],
)
def test_a_remark_beside_a_number(text: str, expected: object) -> None:
    assert remark_on(text) == expected


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    spelling = spelled(text)
    assert spelling.number or spelling.fault is not None
    assert spelling.number.isascii()
