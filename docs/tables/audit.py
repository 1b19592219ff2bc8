"""The page about the audit log: actions, commands, and the chain."""

from __future__ import annotations

from carebell.cli.audited import COMMANDS
from docs.tables.markdown import code, table
from store.audit import BEGINNING, MEANINGS

KEYS = (
    ("seq", "1, 2, 3 ... without a gap"),
    ("time", "UTC, to the microsecond"),
    ("who", "`cli:` and the account that signed in; `portal:` and the user name there, `portal:nobody` for one that is no user's; "
            "`file:` and the owner of an edited carebell.yaml; `service`; `gateway` for "
            "patients' STOP and START and for what the gateway's answers bring about; `housekeeping`"),
    ("from", "words with `=`: `host`, `uid`, `tty`, `node`, `file`, `way`, `peer`; `as`: the account that ran it, where another "
             "one signed in; `sudo` and `ssh`: what the environment says. Nothing in entries from before version 0.2"),
    ("what", "the action, below"),
    ("environment", "the one that it concerns; nothing: all, or none"),
    ("subject", "what it was done to: a sender, a key of the configuration, an appointment's id, a number as `***0143`"),
    ("before, after", "the change in short"),
    ("hash", "SHA-256 in hexadecimal of `hashed`"),
    ("previous", "in an export: the hash before it"),
    ("hashed", "in an export: the text that the hash covers"),
)  # fmt: skip


def audit_log() -> str:
    audited = [
        (code(name), why if isinstance(why, str) else ", ".join(code(action.value) for action in why))
        for name, why in COMMANDS.items()
    ]
    return f"""# Audit log

Who changed or looked at what, from where and when: `carebell audit`. It is append-only and kept for six years (`audit.keep`). It
holds no name, no number but its last four digits, and no content of a message. [For the auditor](../how-to/audit.md) says how to
read, check and export it.

## One entry

{table(["key", "meaning"], [(", ".join(map(code, keys.split(", "))), meaning) for keys, meaning in KEYS])}
## Actions

{table(["what", "meaning"], [(code(action.value), meaning) for action, meaning in MEANINGS.items()])}
## What each command records

{table(["command", "entries, or why there are none"], audited)}
## The chain

Each entry's `hash` is the SHA-256 of its `hashed`, an ASCII text. `hashed` is a JSON array without spaces: the previous entry's
hash, seq, time, who, from, what, environment, subject, before, after. The hash before the first entry is 64 zeros
(`{BEGINNING[:8]}...`). Entries that version 0.1 wrote have no `from`; their array has spaces after its commas and
holds the previous hash, seq, microseconds since 1970, who, what, subject, before, after.

So a change of any entry changes every later hash. Whoever can write the database can make a whole new chain; therefore the newest
number and hash stand in other places too: in the log (`audit_head`, within 15 seconds of a change), and wherever an auditor noted
them. `carebell audit verify` compares with the log, and with every `--head SEQ:HASH` that it is given. Send the log to another
machine, or to the journal of another account, if those who administer the database are to be held to it.

Entries older than `audit.keep` are deleted, always the oldest. An entry `audit.prune` then says which was the last deleted one
(`subject`) and its hash (`after`): the hash before the first entry that is left.
"""
