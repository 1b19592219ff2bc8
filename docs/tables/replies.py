"""The page about what patients answer: the rule of `notifier.intent`, and the words of each language."""

from __future__ import annotations

from typing import Final

from docs.tables.markdown import code, table
from notifier.intent import FEW, intent
from notifier.reply_words import FOLDER, read_languages, read_reply_words

LANGUAGES: Final = {"en": "English", "es": "Spanish", "fr": "French"}

LISTS: Final[dict[str, str]] = {
    "stop": f"STOP as the whole message or among at most {FEW - 1} other words",
    "stop_alone": "STOP as the whole message only",
    "stop_anywhere": "STOP in a message of any length",
    "not_stop": "holds a word of STOP and is none",
    "quoted": "the end of our own texts, which a reply may quote",
    "polite": "changes nothing beside a STOP or START",
    "start": "START as the whole message, polite words aside",
    "start_alone": "START as the whole message",
    "help": "HELP as the whole message",
    "signature": "begins the signature of a mail program",
}

EXAMPLES: Final = (
    "STOP", "Stop!!!", "stóp", "ＳＴＯＰ", "S T O P", "STOP STOP", "please stop", "Stop. Thank you",
    "Arrêt, s'il vous plaît", "REMOVE",
    "Stop, I moved away", "Remove me from it", "quiero darme de baja",
    "Please stop, what I have is nobody's business but mine",
    "I am not the patient you are looking for, so would you please stop texting me",
    "I will stop by at 3", "I'm at the bus stop", "please don't stop", "When should I stop eating?", "Can I cancel my visit?",
    "Can you tell me whether I have to stop my medication before the visit on Monday?",
    "START", "Start, please", "yes", "yes, thank you", "When does it start?", "HELP", "See you then",
)  # fmt: skip

OUTCOMES: Final = {
    "stop": "**STOP**",
    "stop_in_words": "**STOP**, heard among other words",
    "start": "**START**",
    "help": "HELP",
    "unclear": "shown to staff",
    "other": "nothing",
}


def stop_words() -> str:
    """docs/reference/stop-words.md."""
    words = read_reply_words()
    examples = table(
        ("a patient writes", "and it is taken for"),
        [(text, OUTCOMES[intent(text, words).value]) for text in EXAMPLES],
    )
    return f"""# STOP, START and HELP

What a patient's answer is taken for. Carebell looks at the words, decides, and keeps none of them: no answer is stored or logged.

## The rule

1. Case, accents, punctuation, emoji, blanks, invisible and full-width characters do not matter, nor does a letter drawn out
   ("STOPPPP"). What follows a mail program's signature line (`--`, "Sent from my iPhone") does not count.
2. A message that holds only words of STOP and polite words is a **STOP**, however often it repeats them. So is one with a line, a
   sentence or a part between commas that does ("Stop. I am not your patient any more ..."); there the words do not count that are a
   STOP only alone.
3. A message of at most {FEW} words with a word of STOP among them is a **STOP**. So is a message of any length with a phrase that
   can mean nothing else ("stop texting me"). A wrong STOP costs a patient a reminder; a STOP that is not heard breaks a promise and
   the law. Phrases that hold a word of STOP and mean something else ("stop by", "bus stop", "don't stop") are taken out first.
4. A message that holds only words of START and polite words is a **START**. START among other words is not heard, and never beside
   a word of STOP.
5. A message that holds a word of STOP and is none of these (a word that counts only alone: in a message of at most {FEW} words)
   is **shown to staff**: one `reply_unclear` line with the patient's last four digits and the gateway's id of the message, by which
   it can be read there. Nothing else happens.
6. Where the gateway itself says that a message was STOP, START or HELP (Twilio's `OptOutType`), that decides.

A STOP holds for the sender that it was texted to (at Twilio for the whole Messaging Service). `carebell optout list` says where
each came from: `webhook` is a STOP that said nothing else, `words` one heard among other words. One that was a mistake is taken
back with `carebell optout remove`. The metric `carebell_replies_total` counts every answer by what it was taken for. HELP is
answered by the gateway; Carebell counts it.

{examples}
## The words

They are data: one file for each language in `config/reply_words/`, all of them in force together, since a patient may answer in
any language. To add words or a language, write a file of your own with the same keys and name it in `gateway.reply_words`; it
counts from the next start:

```yaml
vi:
  stop: [dừng, ngừng]
  polite: [xin, cảm ơn]
```

{"".join(_words(language) for language in LANGUAGES)}"""


def _words(language: str) -> str:
    (lists,) = read_languages(FOLDER / f"{language}.yaml")
    rows = [(LISTS[key], ", ".join(code(word) for word in lists[key])) for key in LISTS if lists.get(key)]
    return f"### {LANGUAGES[language]}\n\n{table(('list', 'words'), rows)}\n"
