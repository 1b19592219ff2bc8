"""Users: who has which login, and second factors that survive a rotation and open for nobody else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store import users
from store.audit import Author
from store.crypto import Undecipherable
from store.engine import Store
from store.forgetting import GivenUp, give_up_unreadable, sweep
from store.key_rotation import rotate
from store.keys import KeyRing, create_key_file, read_key_file
from store.vault import Vault
from tests.store.portal_samples import put_users, user
from tests.store.samples import NOW

SECRET = b"twenty secret bytes!"


def test_what_was_stored_comes_back(store: Store) -> None:
    full = user(
        role="analyst",
        environments=("north", "south"),
        password="$argon2id$...",
        oidc_issuer="https://login.lamna.example",
        oidc_subject="s-1",
        last_sign_in_at=NOW,
    )
    put_users(store, full, user("ann"))
    with store.read() as conn:
        assert users.by_id(conn, full.id) == users.by_login(conn, "kim") == full
        assert users.by_subject(conn, "https://login.lamna.example", "s-1") == full
        assert users.by_subject(conn, "https://other.example", "s-1") is None
        assert [somebody.login for somebody in users.listed(conn)] == ["ann", "kim"]


@pytest.mark.parametrize("other", [user(id="id-2"), user("ann", oidc_issuer="https://a.example", oidc_subject="1")])
def test_a_login_and_a_subject_are_one_persons(store: Store, other: users.User) -> None:
    put_users(store, user(oidc_issuer="https://a.example", oidc_subject="1"))
    with store.write() as conn:
        assert not users.add(conn, other)
        assert len(users.listed(conn)) == 1


def test_no_secret_is_shown(store: Store) -> None:
    shown = repr(user(password="$argon2id$x", totp=b"sealed", totp_new=b"new", oidc_subject="s-1"))
    assert all(secret not in shown for secret in ("argon2id", "sealed", "new'", "s-1"))


def test_a_second_factor_counts_from_its_first_code_on(store: Store, vault: Vault) -> None:
    put_users(store, user())
    with store.write() as conn:
        users.offer_totp(conn, vault, "id-kim", SECRET)
        waiting = users.by_id(conn, "id-kim")
        assert waiting is not None
        assert waiting.totp is None
        assert waiting.totp_new is not None
        users.set_totp(conn, "id-kim", waiting.totp_new, step=7)
        counts = users.by_id(conn, "id-kim")
        assert counts is not None
        assert (counts.totp_new, counts.totp_last_step) == (None, 7)
        assert counts.totp is not None
        assert users.TOTP.unseal(conn, vault, "id-kim", counts.totp) == SECRET
        with pytest.raises(Undecipherable):
            users.TOTP.unseal(conn, vault, "id-ann", counts.totp)


def test_a_second_factor_survives_rotations_and_the_end_of_days(store: Store, tmp_path: Path) -> None:
    key_file = tmp_path / "ring"
    create_key_file(key_file)
    put_users(store, user())
    with store.write() as conn:
        users.offer_totp(conn, Vault(read_key_file(key_file)), "id-kim", SECRET)
    tester = Author(who="cli:test", origin="host=here")
    done = rotate(store, Vault(read_key_file(key_file)), key_file, author=tester, now=NOW)
    assert (done.moved, done.unreadable) == (1, 0)
    with store.write() as conn:
        sweep(conn, Vault(read_key_file(key_file)), NOW.replace(year=9999))
    with store.write() as conn:
        kept = users.by_id(conn, "id-kim")
        assert kept is not None
        assert kept.totp_new is not None
        assert users.TOTP.unseal(conn, Vault(read_key_file(key_file)), "id-kim", kept.totp_new) == SECRET


def test_without_its_key_a_password_alone_is_not_enough(store: Store, vault: Vault) -> None:
    """The key file is lost: who had a second factor needs a new link; who had none goes on."""
    put_users(store, user(password="$argon2id$1"), user("ann", password="$argon2id$2"))
    with store.write() as conn:
        users.offer_totp(conn, vault, "id-kim", SECRET)
        stranger = Vault(KeyRing(current=1, masters={1: b"x" * 32}, pepper=b"y" * 32))
        assert give_up_unreadable(conn, stranger) == GivenUp(keys=1, appointments=0, people=1)
        assert [(somebody.password, somebody.totp_new) for somebody in users.listed(conn)] == [
            ("$argon2id$2", None),
            (None, None),
        ]


def test_a_code_is_used_once_and_none_before_it(store: Store) -> None:
    put_users(store, user())
    with store.write() as conn:
        assert [users.use_step(conn, "id-kim", step) for step in (5, 5, 4, 6)] == [True, False, False, True]


def test_of_two_with_the_same_code_one_is_let_in(store: Store) -> None:
    put_users(store, user())

    def use(_: int) -> bool:
        with store.write() as conn:
            return users.use_step(conn, "id-kim", 5)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(use, range(8))) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda conn: users.set_role(conn, "id-kim", "analyst", ("a",)), {"role": "analyst", "environments": ("a",)}),
        (lambda conn: users.set_name(conn, "id-kim", "Kim R."), {"name": "Kim R."}),
        (lambda conn: users.set_password(conn, "id-kim", "$argon2id$"), {"password": "$argon2id$"}),
        (lambda conn: users.set_disabled(conn, "id-kim", NOW), {"disabled_at": NOW}),
        (lambda conn: users.signed_in(conn, "id-kim", NOW), {"last_sign_in_at": NOW}),
    ],
    ids=["role", "name", "password", "disabled", "signed in"],
)
def test_a_change_is_of_one_user(store: Store, change: Callable[..., None], expected: dict[str, Any]) -> None:
    put_users(store, user(), user("ann"))
    with store.write() as conn:
        change(conn)
        assert users.listed(conn) == [user("ann"), replace(user(), **expected)]


def test_two_administrators_cannot_remove_each_other_at_once(store: Store) -> None:
    """Each looks whether there is another; the rows that they looked at stay until they have acted."""
    put_users(store, user(), user("ann"), user("gone", disabled_at=NOW), user("sam", role="support"))

    def remove(login: str) -> bool:
        with store.write() as conn:
            others = [somebody for somebody in users.lock_role(conn, "administrator") if somebody.login != login]
            if others:
                users.set_disabled(conn, f"id-{login}", NOW)
            return bool(others)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, ("kim", "ann"))) == [False, True]
