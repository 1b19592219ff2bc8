"""What a patient's text asks for, by the rule of docs/reference/stop-words.md."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.intent import FEW, LONGEST, Intent, ReplyWords, intent, plain
from notifier.reply_words import FOLDER, read_languages, read_reply_words

WORDS = read_reply_words()
LANGUAGES = [language for path in sorted(FOLDER.glob("*.yaml")) for language in read_languages(path)]
STOP, IN_WORDS, START = Intent.STOP, Intent.STOP_IN_WORDS, Intent.START
HELP, UNCLEAR, OTHER = Intent.HELP, Intent.UNCLEAR, Intent.OTHER


def entries(*keys: str) -> list[str]:
    return [entry for language in LANGUAGES for key in keys for entry in language.get(key, [])]


REMINDER = (
    "Lamna Healthcare: a reminder of your visit on Thu, Dec 3 at 2:00 PM. Questions or changes: +1 425 555 0100. "
    "Reply STOP to opt out."
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # nothing but words of STOP, and polite ones
        ("STOP", STOP),
        (" Stop. ", STOP),
        ("STOP" + " " * 70, STOP),
        ("STOP" + "!" * 70, STOP),
        ("STOP STOP", STOP),
        ("stop " * 400, STOP),
        ("STOPSTOP", STOP),
        ("STOPPPP", STOP),
        ("S T O P", STOP),
        ("STOP ALL", STOP),
        ("opt out", STOP),
        ("Opt-Out", STOP),
        ("please stop", STOP),
        ("Stop. Thank you", STOP),
        ("Ok stop now pls", STOP),
        ("REMOVE", STOP),
        ("Please cancel", STOP),
        ("stop 🛑", STOP),
        ("STOP™", STOP),
        ("¡ALTO!", STOP),
        ("Alto, por favor", STOP),
        ("Parár", STOP),
        ("cancelar", STOP),
        ("ARRET", STOP),
        ("Arrêt", STOP),
        ("arrêt s'il vous plaît", STOP),
        ("ＳＴＯＰ", STOP),
        ("Ⓢⓣⓞⓟ", STOP),
        ("st\u200bop", STOP),
        ("\u202eSTOP\u202c", STOP),
        ("ST\u3164OP", STOP),
        # a line of it
        ("Stop\n\n-- \nJane Doe\nCharge nurse, fifth floor\nThe Example Clinic of Springfield", STOP),
        ("STOP\r\nSent from my iPhone", STOP),
        ("Stop\n\nJane Doe, R.N.\nThe Example Clinic of Springfield, Department of Everything", STOP),
        (f"Stop\n> {REMINDER}", STOP),
        ("I have moved to another town and have a new doctor there.\nStop", STOP),
        ("Cancel\n-- \nJane Doe, The Example Clinic of Springfield", STOP),
        ("--STOP--", STOP),
        ("\n--\nstop", STOP),
        # among few others
        ("Stop, I moved away", IN_WORDS),
        ("please stop sending me these messages", IN_WORDS),
        ("Reply STOP", IN_WORDS),
        ("Reply STOP to opt out", IN_WORDS),
        ("STOP START", IN_WORDS),
        ("help stop", IN_WORDS),
        ("STOP it's the wrong number", IN_WORDS),
        ("Remove me from this list", STOP),
        ("Remove me from it", IN_WORDS),
        ("unsubscribe John Doe", IN_WORDS),
        ("quiero darme de baja", IN_WORDS),
        ("J'ai dit arrêt", IN_WORDS),
        ("stop by? no, STOP", IN_WORDS),
        # a sentence or a part of a longer one
        ("Please stop, what I have is nobody's business but mine", IN_WORDS),
        ("I am not your patient any more. Stop. I have told you twice already.", IN_WORDS),
        ("Ya no soy paciente de ustedes desde hace años: basta, por favor", IN_WORDS),
        ("Sorry, cancel, I have caught a cold and stay at home this week", OTHER),
        ("Sorry\ncancel\nI have caught a cold and stay at home this week", OTHER),
        # in any number of others
        ("I am not the patient you are looking for, so would you please stop texting me", IN_WORDS),
        ("wrong number, no more texts please, I have told your office three times", IN_WORDS),
        ("Ya no soy paciente de ustedes desde hace años, no me envíen más mensajes", IN_WORDS),
        ("Je ne suis plus votre patient depuis deux ans, arrêtez de m'envoyer des textos", IN_WORDS),
        # shown to staff
        ("I will stop by at 3", UNCLEAR),
        ("bus stop", UNCLEAR),
        ("I'm at the bus stop", UNCLEAR),
        ("please don't stop", UNCLEAR),
        ("Please don’t stop texting me", UNCLEAR),
        ("bleeding won't stop", UNCLEAR),
        ("When should I stop eating?", UNCLEAR),
        ("Can you tell me whether I have to stop my medication before the visit on Monday?", UNCLEAR),
        ("Can I cancel my visit?", UNCLEAR),
        ("I quit smoking", UNCLEAR),
        ("arrêt d'autobus", UNCLEAR),
        ("Tengo el colesterol alto", UNCLEAR),
        # START, and only as the whole
        ("START", START),
        ("unstop", START),
        ("Start, please", START),
        ("START START", START),
        ("start" + " " * 70, START),
        ("Iniciar", START),
        ("Début", START),
        ("yes", START),
        ("Start\n\nSent from my iPhone", START),
        ("yes, thank you", OTHER),
        ("When does it start?", OTHER),
        ("please start again", OTHER),
        # HELP
        ("¿Ayuda?", HELP),
        ("info", HELP),
        ("I need help with the stairs", OTHER),
        # nothing of the kind
        ("stopping by at 5", OTHER),
        ("At the end of the day I will be back in town, see you then", OTHER),
        (f"Liked “{REMINDER}”", OTHER),
        (f"> {REMINDER}\nThanks, I will be there", OTHER),
        ("Thank you", OTHER),
        ("", OTHER),
        ("👍", OTHER),
        ("ST0P", OTHER),
    ],
)
def test_what_a_text_asks_for(body: str, expected: Intent) -> None:
    assert intent(body, WORDS) is expected


def test_few_is_as_many_words_as_the_page_says() -> None:
    others = ["pears"] * (FEW - 1)
    assert intent(" ".join(["stop", *others]), WORDS) is IN_WORDS
    assert intent(" ".join(["stop", *others, "pears"]), WORDS) is UNCLEAR


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("stop " * LONGEST, STOP),
        ("unsubscribe " * LONGEST, STOP),
        ("Stop\n" + "pears " * LONGEST, STOP),
        ("Stop" + " " * LONGEST + "pears", STOP),
        ("I moved. Stop. " + "pears " * LONGEST, IN_WORDS),
        ("please stop texting me " + "pears " * LONGEST, IN_WORDS),
        ("when does the bus stop " + "pears " * LONGEST, UNCLEAR),
        ("pears " * LONGEST + "\nSTOP", UNCLEAR),
        ("start " * LONGEST, UNCLEAR),
        ("yes" + " " * LONGEST + "no", UNCLEAR),
        ("help" + " " * LONGEST + "pears", UNCLEAR),
        ("x" * (LONGEST + 1), UNCLEAR),
        ("x" * LONGEST, OTHER),
        (" " * (LONGEST + 1), UNCLEAR),
        ("x" * (LONGEST - 5) + "\nstopping", UNCLEAR),
    ],
    ids=range(15),
)
def test_of_a_message_that_no_sms_can_hold_only_the_beginning_is_read(body: str, expected: Intent) -> None:
    assert intent(body, WORDS) is expected


@pytest.mark.parametrize("word", sorted(set(entries("stop", "stop_alone"))))
def test_each_word_of_stop_is_a_stop(word: str) -> None:
    assert intent(word.upper(), WORDS) is STOP


@pytest.mark.parametrize("phrase", sorted(set(entries("stop_anywhere"))))
def test_each_phrase_that_can_mean_nothing_else_is_a_stop_in_any_message(phrase: str) -> None:
    assert intent(f"pears and apples and plums, {phrase} pears and apples and plums", WORDS) is IN_WORDS


@pytest.mark.parametrize("phrase", sorted(set(entries("not_stop"))))
def test_each_phrase_that_means_something_else_is_no_stop(phrase: str) -> None:
    for body in (phrase, f"pears {phrase} pears"):
        assert intent(body, WORDS) in (UNCLEAR, OTHER)
    assert intent(f"{phrase} pears STOP", WORDS) in (IN_WORDS, UNCLEAR)


@pytest.mark.parametrize("word", sorted(set(entries("start", "start_alone"))))
def test_each_word_of_start_is_a_start(word: str) -> None:
    assert intent(word.upper(), WORDS) is START


def test_every_entry_has_one_meaning_and_is_written_as_it_is_compared() -> None:
    whole = [
        {plain(entry).replace(" ", "") for entry in entries(*keys)}
        for keys in (
            ("stop", "stop_alone", "stop_anywhere"),
            ("start", "start_alone"),
            ("help",),
            ("polite",),
        )
    ]
    assert sum(map(len, whole)) == len(set().union(*whole))
    every = [entry for language in LANGUAGES for key in language for entry in language[key]]
    assert [entry for entry in every if plain(entry) != entry] == []


# Decoration: whatever a telephone, a mail gateway or a patient puts around and between the letters of a word.

_SEPARATORS = st.characters(
    categories=("P", "S", "Z", "Cf", "Cc", "Mn", "Me"),
    exclude_characters=[
        char
        for char in map(chr, range(0x110000))
        if unicodedata.category(char)[0] in "PS" and any(part.isalnum() for part in unicodedata.normalize("NFKD", char))
    ],
)
_ACCENTS = st.sampled_from(["", "", "", "\u0301", "\u0300", "\u0308", "\u200b", "\ufe0f", "\u00ad"])


@st.composite
def _letters(draw: st.DrawFn, word: str) -> str:
    made = []
    for char in word:
        shape = draw(st.sampled_from(["same", "upper", "wide", "bold"]))
        if shape == "upper":
            char = char.upper()
        elif shape == "wide" and "a" <= char <= "z":
            char = chr(ord(char) - ord("a") + ord("ａ"))
        elif shape == "bold" and "a" <= char <= "z":
            char = chr(ord(char) - ord("a") + 0x1D41A)
        made.append(char + draw(_ACCENTS))
    return "".join(made)


@given(st.data(), st.sampled_from(entries("stop", "stop_alone")))
def test_any_decoration_of_a_word_of_stop_is_a_stop(data: st.DataObject, word: str) -> None:
    around = st.text(_SEPARATORS, max_size=80)
    parts = [data.draw(_letters(part)) for part in word.split()]
    body = data.draw(around) + data.draw(around.filter(lambda text: "\n" not in text)).join(parts) + data.draw(around)
    assert intent(body, WORDS) is STOP


@given(st.data(), st.sampled_from(entries("stop")), st.lists(st.sampled_from(entries("polite")), max_size=3))
def test_polite_words_take_nothing_from_a_stop(data: st.DataObject, word: str, polite: list[str]) -> None:
    said = data.draw(st.permutations([word, *polite]))
    assert intent(data.draw(st.sampled_from([" ", ", ", ". ", "\n"])).join(said), WORDS) is STOP


@given(st.text(max_size=300))
def test_any_text_is_an_intent(body: str) -> None:
    assert isinstance(intent(body, WORDS), Intent)
    assert intent(body + "\nSTOP", WORDS) in (STOP, OTHER, UNCLEAR, IN_WORDS)


def test_a_language_without_a_list_has_none() -> None:
    words = ReplyWords.build([{"stop": ["halt"]}])
    assert intent("HALT!", words) is STOP
    assert [intent(body, words) for body in ("start", "help", "", "please halt")] == [OTHER, OTHER, OTHER, IN_WORDS]
