"""parser/phone_spelling.py: whatever stands around a number's digits, the number is the same, and words say what it is."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser.phone_choice import read_number
from parser.phone_spelling import EXTENSION, NO_NUMBER, NO_TEXTS, NOT_ALONE, TOO_LONG, Use, plain, spelled

E164 = "+12025550143"
CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
INVISIBLE = [character for character in CHARACTERS if unicodedata.category(character) == "Cf"] + list(
    "\u034f\ufe0f\u3164"
)
SPACES = [character for character in CHARACTERS if unicodedata.category(character) == "Zs"] + ["\t", "\n", "\x85"]
DASHES = [character for character in CHARACTERS if unicodedata.category(character) == "Pd"] + list("\u2212\u2043\u30fc")
DIGITS = [character for character in CHARACTERS if unicodedata.category(character) == "Nd"]
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
        "tel:+12025550143", "TEL:+1-202-555-0143", "tel:+1(202)555-0143", "tel://2025550143", "tel:%2B12025550143",
        "tel:202%20555%200143", "tel:5550143;phone-context=+1202", "tel:2025550143;phone-context=+1",
        "tel:2025550143;phone-context=lamna.example", "tel:+12025550143;isub=1411", "tel:+12025550143;ext=0",
        "sms:+12025550143", "sms:+12025550143?body=see%20you%20at%207", "smsto:2025550143", "callto:+12025550143",
        "TEL;TYPE=cell,voice;VALUE=uri:tel:+1-202-555-0143", "<+12025550143>", "'2025550143", "\"(202) 555-0143\"",
        "1(202)555-0143", "(+1) 202-555-0143", "[202] 555-0143", "202·555·0143", "202.555.0143", "202/555-0143", "2025550143,",
        "2025550143.", "+ 1 202 555 0143", "Phone: 2025550143", "Ph# 202-555-0143", "Tel. No. 202-555-0143", "Tél. : 202 555 0143",
        "N° 2025550143", "Preferred: 202-555-0143", "2025550143 (preferred)",
    ],
)  # fmt: skip
def test_a_uri_a_label_or_marks_around_a_number(text: str) -> None:
    reading = read_number(text, "US")
    assert (reading.e164, reading.fault) == (E164, None)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("cell", "Cell Mobile CELL: cell# C M (C) Celular Móvil móvil Handy Portable Cellphone SMS Text iPhone Cellulaire"),
        ("own", "Home H Casa Maison Personal (home) Domicile"),
        ("work", "Work W Office Oficina Bureau Business"),
        ("landline", "Landline Fijo Fixe"),
    ],
)  # fmt: skip
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
        ("Fax 202-555-0143", NO_TEXTS), ("fax:+12025550143", NO_TEXTS), ("202-555-0143 (fax)", NO_TEXTS),
        ("Cell/Fax: 2025550143", NO_TEXTS), ("Pager 202-555-0143", NO_TEXTS), ("TTY 2025550143", NO_TEXTS),
        ("mother 202-555-0143", NOT_ALONE), ("202-555-0143 mother", NOT_ALONE), ("Do not call 202-555-0143", NOT_ALONE),
        ("No texts: 202-555-0143", NOT_ALONE), ("No 202-555-0143", NOT_ALONE), ("202-555-0143 no", NOT_ALONE),
        ("202-555-0143 voice only", NO_TEXTS), ("Calls only 202-555-0143", NO_TEXTS), ("202-555-0143 not ok to text", NOT_ALONE),
        ("mother's cell 202-555-0143", NOT_ALONE), ("a2025550143@test.example", NO_NUMBER),
        ("202-555-0143; 202-555-0150", NOT_ALONE),
        ("sip:2025550143@test", NO_NUMBER),
        ("202-555-0143 x12", EXTENSION), ("202-555-0143 extension 9", EXTENSION), ("tel:+12025550143;ext=9", EXTENSION),
        ("2025550143#5", EXTENSION), ("2025550143,5", EXTENSION), ("tel:+12025550143;postd=5", EXTENSION),
        ("UNKNOWN", NO_NUMBER), ("NONE ON FILE", NO_NUMBER), ("555-014", NO_NUMBER), ("", NO_NUMBER), ("2" * 5000, TOO_LONG),
        ("202-555-XXXX", NO_NUMBER), ("***-***-0143", NO_NUMBER),
    ],
)  # fmt: skip
def test_what_is_no_number_of_the_patient(text: str, fault: str) -> None:
    assert (spelled(text).fault, read_number(text, "US").e164) == (fault, None)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    spelling = spelled(text)
    assert spelling.number or spelling.fault is not None
    assert spelling.number.isascii()
