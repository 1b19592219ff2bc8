"""The page about patients' replies: the rule of `notifier.intent`, and the words of each language."""

from __future__ import annotations

from typing import Final

from docs.tables.markdown import code, table
from notifier.intent import FEW, LONGEST, intent
from notifier.reply_words import FOLDER, read_languages, read_reply_words

LANGUAGES: Final = {"en": "English", "es": "Spanish", "fr": "French"}

LISTS: Final[dict[str, str]] = {
    "stop": f"STOP as the whole message or among at most {FEW - 1} other words",
    "stop_alone": "STOP as the whole message only",
    "stop_anywhere": "STOP in a message of any length",
    "not_stop": "holds a STOP word and is not a STOP",
    "quoted": "the end of our own texts, which a reply may quote",
    "polite": "does not count beside a STOP or START word",
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
    "stop_in_words": "**STOP**, found among other words",
    "start": "**START**",
    "help": "HELP",
    "unclear": "shown to staff",
    "other": "nothing, or an [answer](../how-to/replies.md)",
}


def stop_words() -> str:
    """docs/reference/stop-words.md."""
    words = read_reply_words()
    examples = table(
        ("a patient writes", "Carebell takes it for"),
        [(text, OUTCOMES[intent(text, words).value]) for text in EXAMPLES],
    )
    return f"""# STOP, START and HELP

This page says how Carebell understands a patient's reply. It reads the words, decides, and discards them: no reply is stored or
logged.

## The rule

1. Case, accents, punctuation, emoji, blanks, invisible and full-width characters do not matter. Repeated letters ("STOPPPP") do not
   matter either. Text after a mail program's signature line (`--`, "Sent from my iPhone") does not count.
2. A message that holds only STOP words and polite words is a **STOP**, however often it repeats them. So is a message in which
   one line, one sentence or one part between commas holds only such words ("Stop. I am not your patient any more ..."). In such a
   part, words that are a STOP only as the whole message do not count.
3. A message of at most {FEW} words with a STOP word among them is a **STOP**. So is a message of any length with a phrase that
   can mean nothing else ("stop texting me"). A wrong STOP costs a patient a reminder; a missed STOP breaks a promise and the law.
   Phrases that hold a STOP word and mean something else ("stop by", "bus stop", "don't stop") are removed first.
4. A message that holds only START words and polite words is a **START**. A START word among other words, or beside a STOP word,
   is not a START.
5. A message that holds a STOP word and matches none of these rules is **shown to staff**. (A word that is a STOP only as the
   whole message counts here only in a message of at most {FEW} words.) Carebell writes one `reply_unclear` line with the patient's
   last four digits and the gateway's id of the message; staff can read the message at the gateway by this id. Nothing else happens.
6. Carebell reads the first {LONGEST:,} characters of a message; the longest SMS has fewer. A longer message is a **STOP** where
   these rules find a STOP in the part that is read. Any other longer message is **shown to staff**, because the rest is not known:
   it is never a START.
7. Where the gateway itself says that a message was STOP, START or HELP (Twilio's `OptOutType`), that decides.

8. Whatever is none of these may answer a question: "C", if a text asked for it ([replies](../how-to/replies.md)). A YES of a number
   that has not opted out is such an answer, too. A STOP always comes first.

A STOP applies to the sender that it was texted to (at Twilio to the whole Messaging Service). `carebell optout list` says where
each opt-out came from: `webhook` is a STOP without other words, `words` is a STOP among other words. If an opt-out was a mistake,
`carebell optout remove` undoes it. The metric `carebell_replies_total` counts every reply by what Carebell took it for. The gateway
answers HELP; Carebell counts it.

{examples}
## The words

The words are data: one file for each language in `config/reply_words/`. All files are used together, because a patient may reply in
any language. To add words or a language, write a file of your own with the same keys and name it in `gateway.reply_words`. It takes
effect at the next start:

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
