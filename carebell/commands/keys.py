"""`keys rotate` and `keys drop-unreadable`: the master key of the stored numbers, both audited."""

from __future__ import annotations

from pathlib import Path

from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_result, print_sentence
from carebell.commands.progress import working
from carebell.exits import OK, REFUSED, ConfigurationStop
from config.credentials import copy_of
from journal.events.database import KeyRotated
from journal.events.service import OperatorActed
from store import audit
from store.audit import AuditAction
from store.forgetting import give_up_unreadable
from store.key_rotation import rotate as rotate_master_key
from store.keys import KeyFault


def rotate(config: Path | None, *, as_json: bool) -> None:
    """Make a new master key, wrap every day key with it, and remove the old master key from the file."""
    with interruptible() as progress, opened(config) as session:
        key_file = session.loaded.configuration.storage.key_file
        progress.done = "the rotation may be unfinished; run `carebell keys rotate` again"
        try:
            with working("Wrapping the day keys"):
                done = rotate_master_key(
                    session.store, session.vault, key_file, author=session.author, now=session.now()
                )
        except KeyFault as fault:
            raise ConfigurationStop(str(session.loaded.problem(("storage", "key_file"), str(fault)))) from None
        session.log(KeyRotated(key=done.key, count=done.moved, actor=session.actor))
        several_nodes = session.store.backend != "sqlite"
    if as_json:
        print_json(
            {"key": done.key, "moved": done.moved, "unreadable": done.unreadable, "copy_key_file": several_nodes}
        )
        return
    print_sentence(
        f"key {done.key} is in use and wraps {done.moved} day keys; the previous key was removed from the file"
    )
    print_sentence("back up the key file and the database now: this key file cannot read older backups")
    if several_nodes:
        print_sentence(
            "copy the key file to every other node now: until then these nodes store no message and send no text"
        )
    else:
        print_sentence(
            "a running service reads the new key by itself"
            if copy_of(key_file) is None
            else "systemd handed the old key to the running service: run `systemctl restart carebell` now; until then it stores "
            "no message"
        )
    if done.unreadable:
        print_sentence(
            f"{done.unreadable} day keys cannot be unwrapped with any key of the file and were not changed; "
            "`carebell keys drop-unreadable` deletes them"
        )


def drop_unreadable(config: Path | None, *, sure: bool, as_json: bool) -> int:
    """Delete day keys that the key file cannot unwrap. Without `sure`, delete nothing and return 1 if there are any."""
    with interruptible() as progress, opened(config) as session:
        with session.store.read() as conn:
            days = session.vault.unreadable_days(conn)
            foreign = session.vault.is_known_foreign(conn)
        if not days and not foreign:
            print_result(
                {"day_keys": 0, "appointments": 0, "people": 0, "done": False},
                "the key file can unwrap every day key; nothing was done",
                as_json=as_json,
            )
            return OK
        if not sure:
            print_result(
                {"day_keys": len(days), "appointments": None, "people": None, "done": False},
                f"{len(days)} day keys cannot be unwrapped with any key of the file. If you still have the right key file, put it "
                "in place. Otherwise the numbers are lost already: --yes deletes these day keys, and the EHR's next message about "
                "each visit brings its number again. Nothing was done.",
                as_json=as_json,
            )
            return REFUSED
        progress.done = "the keys may have been deleted; run it again to see"
        with session.store.write() as conn:
            given_up = give_up_unreadable(conn, session.vault)
            after = f"{given_up.keys} day keys, {given_up.appointments} appointments"
            audit.append(
                conn, session.author, AuditAction.KEYS_DROP, subject="unreadable", after=after, at=session.now()
            )
        session.log(OperatorActed(action="keys drop-unreadable", actor=session.actor, source="command"))
    people = f"; {given_up.people} people need a new set-up link for the portal" if given_up.people else ""
    print_result(
        {"day_keys": given_up.keys, "appointments": given_up.appointments, "people": given_up.people, "done": True},
        f"deleted: {given_up.keys} day keys; {given_up.appointments} visits wait for a message with their number{people}",
        as_json=as_json,
    )
    return OK
