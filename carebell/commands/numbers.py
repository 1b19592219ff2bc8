"""`numbers`: the organisation's own numbers at Twilio. A step that costs money or changes the account is shown first and must be
confirmed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from carebell.account_numbers import KINDS, audit_action, in_use, in_words, opened_account, webhook_of
from carebell.bootstrap.components import load
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened_without_keys
from carebell.commands.output import print_json, print_result, print_table
from carebell.exits import OK, REFUSED, ConfigurationStop, Stop, TransientStop, UsageStop
from config.load import Loaded
from config.problems import ConfigurationError
from notifier.twilio.numbers import NumbersError, Plan, Step, TwilioNumbers

_STOPS: Final[dict[str, type[Stop]]] = {"bad_argument": UsageStop, "not_sent": TransientStop, "unclear": TransientStop}


def list_all(config: Path | None, *, as_json: bool) -> None:
    """Print the account's numbers, and which environments send from them."""
    with _numbers(config) as (loaded, numbers):
        account = in_use(numbers, loaded)
    rows: list[dict[str, Any]] = [
        {
            "number": number.owned.number,
            "sid": number.owned.sid,
            "name": number.owned.name,
            "texts": number.owned.sms_capable,
            "webhook": number.owned.sms_url or None,
            "environments": list(number.environments),
        }
        for number in account
    ]
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ["Number", "Name", "Texts", "Used by", "Answers go to"],
        [
            (
                row["number"],
                row["name"],
                "yes" if row["texts"] else "no",
                ", ".join(row["environments"]) or "-",
                row["webhook"] or "nowhere",
            )
            for row in rows
        ],
        empty="this account has no numbers; `carebell numbers search` lists numbers for sale",
    )


def search(
    config: Path | None,
    *,
    country: str,
    kind: str,
    area_code: int | None,
    contains: str | None,
    limit: int,
    as_json: bool,
) -> int:
    """Print numbers for sale that can text; 1 if there are none."""
    number_kind = KINDS.get(kind)
    if number_kind is None:
        raise UsageStop(f"--kind: {kind!r} does not exist; there are {', '.join(KINDS)}")
    with _numbers(config) as (_, numbers):
        offers = numbers.search(country, number_kind, area_code, contains, limit)
    if as_json:
        for offer in offers:
            print_json(
                {"number": offer.number, "locality": offer.locality, "region": offer.region, "country": offer.country}
            )
    else:
        print_table(
            ["Number", "Place", "Region", "Country"],
            [(offer.number, offer.locality or "-", offer.region or "-", offer.country) for offer in offers],
            empty="no such number is for sale; try another --area-code or --contains",
        )
        if offers:
            print("Nothing was bought. `carebell numbers buy NUMBER` shows what a purchase would do, and asks.")
    return OK if offers else REFUSED


def buy(config: Path | None, number: str, *, service: str | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Buy a number and link it; 1 if the user did not confirm."""
    with _numbers(config) as (loaded, numbers):
        plan = numbers.plan_buy(number, webhook_of(loaded), service)
        return _carry_out(config, numbers, plan, yes=yes, dry_run=dry_run, as_json=as_json)


def link(config: Path | None, number: str, *, service: str | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Link a number of the account to our webhook; 1 if the user did not confirm."""
    with _numbers(config) as (loaded, numbers):
        plan = numbers.plan_link(number, webhook_of(loaded), service)
        if not plan.steps:
            raise UsageStop("there is nothing to link to: set gateway.twilio.public_url, or give --service")
        return _carry_out(config, numbers, plan, yes=yes, dry_run=dry_run, as_json=as_json)


@contextmanager
def _numbers(config: Path | None) -> Iterator[tuple[Loaded, TwilioNumbers]]:
    loaded = load(config)
    try:
        with opened_account(loaded) as numbers:
            yield loaded, numbers
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None
    except NumbersError as error:
        raise _STOPS.get(error.code, Stop)(str(error)) from None


def _carry_out(
    config: Path | None, numbers: TwilioNumbers, plan: Plan, *, yes: bool, dry_run: bool, as_json: bool
) -> int:
    """Show the plan, and carry it out after a confirmation. With `as_json` nobody is asked; `yes` decides."""
    for step in plan.steps:
        print_result(_row(step, done=False), f"would {in_words(step)}", as_json=as_json)
    if dry_run:
        if not as_json:
            print("Dry run: nothing was done.")
        return OK
    if not yes and (as_json or not sys.stdin.isatty()):
        reason = "Nothing was done, because there is no terminal to ask at. Use --yes to do it."
        print(f"carebell: {reason}" if as_json else reason, file=sys.stderr if as_json else sys.stdout)
        return REFUSED
    if not yes:
        question = (
            "Buy it? Its monthly price begins now. Type the number to buy it: " if plan.costs else "Do it? [y/N] "
        )
        answer = input(question).strip()
        if answer != plan.steps[0].number if plan.costs else answer.lower() not in ("y", "yes"):
            print("Nothing was done.")
            return REFUSED
    with interruptible() as progress:
        progress.done = (
            f"it is not known whether Twilio did this: {in_words(plan.steps[0])}; `carebell numbers list` says"
        )

        def show(step: Step) -> None:
            print_result(_row(step, done=True), f"done: {in_words(step)}", as_json=as_json)
            _audited(config, step)
            sys.stdout.flush()
            progress.done = f"done: {in_words(step)}; `carebell numbers list` says what else"

        numbers.apply(plan, progress=show)
    return OK


def _audited(config: Path | None, step: Step) -> None:
    """Record a step that is done. It is done at the gateway, so a database that takes no entry only brings a warning."""
    try:
        with opened_without_keys(config) as database:
            database.shown(audit_action(step), subject=step.number, after=step.target)
    except Stop as stop:
        print(f"carebell: warning: this could not be recorded in the audit log: {stop}", file=sys.stderr)


def _row(step: Step, *, done: bool) -> dict[str, Any]:
    return {"action": step.action, "number": step.number, "target": step.target, "done": done}
