"""Guessing is slowed and the right person is never shut out.

From a place where a login was right before, only failures of that login from that place count: after five each further attempt has
to wait, 1, 2, 4, 8 and then 15 minutes. A place is a browser that has the cookie of an earlier sign-in, or else an address. Nobody
else's failures make such a person wait, however many there are, whoever shares their address.

A stranger's attempt counts for the address too, which may fail 30 times an hour with whatever logins, and for the login, which
is locked for strangers after a hundred failures in a row until somebody unlocks it.

An attempt is counted as a failure before its password is looked at, and uncounted when it was right: so a thousand at once are
no more than a thousand one after the other. What comes too soon is not looked at and not counted. All this is the same for logins
that nobody has.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portal.people import Browser, SignInRefused
from store import throttles
from store.engine import Transaction
from store.keys import KeyRing
from store.throttles import AttemptLimit, Failures, ThrottleScope

FREE: Final = 5
"""Failures after which the next attempt has to wait."""
LONGEST_WAIT: Final = timedelta(minutes=15)
PER_ADDRESS: Final = AttemptLimit(count=30, period=timedelta(hours=1))
LOCKED_AFTER: Final = 100
_KEEP_PAIR: Final = timedelta(days=1)
_KEEP_LOGIN: Final = timedelta(days=7)
_KEEP_LOCK: Final = timedelta(days=3660)
KNOWN_FOR: Final = timedelta(days=400)
"""As long as browsers keep a cookie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Nobody was right with this login from here before. `before`: the login's failures."""

    address_key: str
    login_key: str
    before: Failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One that is under way, counted as a failure in advance. `before`: the failures from this place."""

    pair_key: str
    before: Failures
    stranger: Stranger | None

    @property
    def locks(self) -> bool:
        """Whether it is the failure after which strangers are locked out."""
        return self.stranger is not None and self.stranger.before.count + 1 == LOCKED_AFTER


class SignInThrottle:
    """Args: ring: makes keys of addresses and logins, neither of which stands in the database."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def begin(self, conn: Transaction, login: str, browser: Browser, now: datetime) -> Attempt | SignInRefused:
        """Let somebody try, or say when."""
        address = _network_of(browser.address)
        place = self._known_place(conn, login, browser, address, now)
        if place is not None:
            return self._begin(conn, login, place, now)
        # In the order in which the rows are locked (`store.lock_order`).
        address_key = self._ring.throttle_key("address", address)
        until = throttles.take(conn, ThrottleScope.ADDRESS, address_key, PER_ADDRESS, now=now)
        if until is not None:
            return SignInRefused(reason="wait", until=until)
        login_key = self._ring.throttle_key("login", login)
        before = throttles.failures(conn, ThrottleScope.LOGIN, login_key, now=now, keep=_KEEP_LOGIN)
        if before.count >= LOCKED_AFTER:
            throttles.give_back(conn, ThrottleScope.ADDRESS, address_key)
            return SignInRefused(reason="locked")
        stranger = Stranger(address_key=address_key, login_key=login_key, before=before)
        outcome = self._begin(conn, login, ("address", address), now, stranger)
        if isinstance(outcome, SignInRefused):
            throttles.give_back(conn, ThrottleScope.ADDRESS, address_key)
        return outcome

    def begin_again(self, conn: Transaction, login: str, session: str, now: datetime) -> Attempt | SignInRefused:
        """Let somebody who is signed in prove it again, or say when. Failures elsewhere do not count.

        Args:
            session: its key. Who stole it can guess in it, and in no other.
        """
        return self._begin(conn, login, ("session", session), now)

    def undo(self, conn: Transaction, attempt: Attempt) -> None:
        """It was no failure, and no success either: nothing was looked at, or only the first of two steps is done."""
        if attempt.stranger is not None:
            throttles.give_back(conn, ThrottleScope.ADDRESS, attempt.stranger.address_key)
            throttles.take_back(conn, ThrottleScope.LOGIN, attempt.stranger.login_key, attempt.stranger.before)
        throttles.take_back(conn, ThrottleScope.PAIR, attempt.pair_key, attempt.before)

    def succeed(self, conn: Transaction, attempt: Attempt) -> None:
        """It was right: what failed before from here counts no more. Strangers' failures stay when it was no stranger."""
        if attempt.stranger is not None:
            throttles.give_back(conn, ThrottleScope.ADDRESS, attempt.stranger.address_key)
            throttles.clear(conn, ThrottleScope.LOGIN, attempt.stranger.login_key)
        throttles.clear(conn, ThrottleScope.PAIR, attempt.pair_key)

    def remember(self, conn: Transaction, login: str, browser: Browser, now: datetime, *, new_cookie: str) -> str:
        """Know this browser and this address from now on; the value of the browser's cookie.

        A cookie that this login never had is not taken over: somebody may have planted it.

        Args:
            new_cookie: for a browser that has none of this login's.
        """
        address = _network_of(browser.address)
        known_by = browser.known_by
        if known_by is None or not throttles.is_known(conn, self._known_key(login, "browser", known_by), now):
            known_by = new_cookie
        for place in sorted(self._known_key(login, *words) for words in (("browser", known_by), ("address", address))):
            throttles.remember(conn, place, now=now, keep=KNOWN_FOR)
        return known_by

    def unlock(self, conn: Transaction, login: str) -> bool:
        """Let strangers try this login again; False: it had no failures."""
        return throttles.clear(conn, ThrottleScope.LOGIN, self._ring.throttle_key("login", login))

    def locked(self, conn: Transaction, logins: list[str]) -> frozenset[str]:
        """Which of these logins are locked for strangers."""
        keys = {self._ring.throttle_key("login", login): login for login in logins}
        counts = throttles.counts(conn, ThrottleScope.LOGIN, list(keys))
        return frozenset(keys[key] for key, count in counts.items() if count >= LOCKED_AFTER)

    def _begin(
        self, conn: Transaction, login: str, place: tuple[str, str], now: datetime, stranger: Stranger | None = None
    ) -> Attempt | SignInRefused:
        pair_key = self._ring.throttle_key("pair", login, *place)
        before = throttles.failures(conn, ThrottleScope.PAIR, pair_key, now=now, keep=_KEEP_PAIR)
        until = _next_attempt(before, now)
        if until is not None and now < until:
            return SignInRefused(reason="wait", until=until)
        attempt = Attempt(pair_key=pair_key, before=before, stranger=stranger)
        if stranger is not None:
            keep = _KEEP_LOCK if attempt.locks else _KEEP_LOGIN
            throttles.fail(conn, ThrottleScope.LOGIN, stranger.login_key, now=now, keep=keep)
        throttles.fail(conn, ThrottleScope.PAIR, pair_key, now=now, keep=_KEEP_PAIR)
        return attempt

    def _known_place(
        self, conn: Transaction, login: str, browser: Browser, address: str, now: datetime
    ) -> tuple[str, str] | None:
        """The browser, else the address, if this login was right from there; None: neither."""
        places = [("address", address)]
        if browser.known_by is not None:
            places.insert(0, ("browser", browser.known_by))
        for place in places:
            if throttles.is_known(conn, self._known_key(login, *place), now):
                return place
        return None

    def _known_key(self, login: str, *place: str) -> str:
        return self._ring.throttle_key("known", login, *place)


def _next_attempt(failures: Failures, now: datetime) -> datetime | None:
    """When the next attempt counts; None: at once. A clock that was set back makes nobody wait longer."""
    if failures.count < FREE:
        return None
    wait = min(timedelta(minutes=2 ** min(failures.count - FREE, 10)), LONGEST_WAIT)
    return min(failures.last_at, now) + wait


def _network_of(address: str) -> str:
    """What one attacker has at least: an IPv4 address, or 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
