"""Ask for a patient's number at the terminal, so that it is in no shell history and no list of processes."""

from __future__ import annotations

import getpass
import sys

from carebell.exits import UsageStop
from parser.phone_number import PhoneNumber
from parser.phone_number import typed_number as number_of


def typed_number(prompt: str) -> PhoneNumber:
    """The number, typed unseen at a terminal, or read from the first line of standard input. UsageStop unless it is E.164."""
    return read_number(typed_unseen(f"{prompt} (E.164, not shown): "))


def typed_unseen(asked: str) -> str:
    """What is typed unseen at a terminal, or the first line of standard input."""
    return getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline()


def read_number(written: str) -> PhoneNumber:
    """The number. UsageStop unless it is E.164; the error does not repeat it."""
    phone = number_of(written)
    if phone is None:
        raise UsageStop("write the number in E.164, such as +12025550143")
    return phone
