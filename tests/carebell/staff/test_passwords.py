"""Passwords: which are refused, and that a right and a wrong one take the same way."""

from __future__ import annotations

import threading

import pytest

from carebell.staff.passwords import HashCost, Passwords, PasswordsBusy, common_passwords, problem_of

CHEAP = HashCost(passes=1, memory_kib=8)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("correct horse", "short"),
        ("correct horse battery", None),
        ("x" * 129, "long"),
        ("zxcvbnm,./ and others", None),
        ("Passw0rd!" * 2, None),
        ("password12345678", "common"),
        ("!!!!Sunshine2026!!", "common"),
        ("12341234123412341", "common"),
        ("aaaaaaaaaaaaaaaaaaa", "common"),
        ("Lamna Healthcare 1", "organization"),
        ("LAMNA-lamna-lamna-26", "organization"),
        ("carebellcarebell!!1", "organization"),
        ("kim.lee@lamna / kim.lee@lamna", "login"),
        ("Lamna cooks nine eggs", None),
        ("ﬁ" * 8, "common"),
        ("ﬁnd nine violet eggs", None),
    ],
)
def test_what_is_refused(password: str, problem: str | None) -> None:
    assert problem_of(password, shortest=15, organization="Lamna Healthcare", login="kim.lee@lamna") == problem


def test_beside_a_second_factor_eight_letters_are_enough() -> None:
    assert problem_of("ninEeggs", shortest=8, organization="Lamna", login="kim") is None
    assert problem_of("nineegg", shortest=8, organization="Lamna", login="kim") == "short"
    assert problem_of("iloveyou", shortest=8, organization="Lamna", login="kim") == "common"
    assert problem_of("Kim12345", shortest=8, organization="Lamna", login="kim") is None, (
        "a name of three letters is in much"
    )


def test_the_list_is_of_words_that_matter() -> None:
    words = common_passwords()
    assert len(words) > 8000
    assert {len(word) >= 8 and word == word.lower() for word in words} == {True}
    assert {"password", "iloveyou", "sunshine", "12345678"} <= words


def test_a_hash_is_of_one_password() -> None:
    passwords = Passwords(CHEAP)
    stored = passwords.hash("ﬁnd nine violet eggs")
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert passwords.verify(stored, "find nine violet eggs", stranger=True), "the same letters from another keyboard"
    assert not passwords.verify(stored, "Find nine violet eggs", stranger=True)
    assert not passwords.verify(stored, "\udcff", stranger=True)
    assert not passwords.verify("no hash at all", "find nine violet eggs", stranger=True)
    assert stored != passwords.hash("ﬁnd nine violet eggs")


def test_nobodys_password_is_nothing() -> None:
    """A login that nobody has costs one hash too, and even the password that is compared lets nobody in."""
    passwords = Passwords(CHEAP)
    dummy = "nobody's password, which is compared where there is none"
    assert not passwords.verify(None, dummy, stranger=True)
    assert not passwords.verify(None, "", stranger=True)


def test_a_longer_password_than_anybody_can_have_is_not_right() -> None:
    passwords = Passwords(CHEAP)
    assert not passwords.verify(passwords.hash("x" * 129), "x" * 129, stranger=True)


def test_the_cost_is_owasps_and_older_hashes_are_noticed() -> None:
    assert (HashCost().passes, HashCost().memory_kib) == (2, 19456)
    stored = Passwords(CHEAP).hash("find nine violet eggs")
    assert Passwords(HashCost(passes=2, memory_kib=8)).is_outdated(stored)
    assert not Passwords(CHEAP).is_outdated(stored)


def test_a_crowd_of_strangers_is_told_to_try_again_and_makes_nobody_else_wait() -> None:
    """Both turns are taken: of strangers one waits, the next is refused, and who was here before waits as well."""
    passwords = Passwords(CHEAP, at_once=1, strangers=1)
    stored = passwords.hash("find nine violet eggs")
    begun, answers = threading.Event(), list[bool]()

    def wait(*, stranger: bool) -> None:
        begun.set()
        answers.append(passwords.verify(stored, "find nine violet eggs", stranger=stranger))

    waiting = [threading.Thread(target=wait, kwargs={"stranger": stranger}) for stranger in (True, False)]
    with passwords._turns:  # somebody's hash is being computed
        for thread in waiting:
            thread.start()
        begun.wait()
        while passwords._strangers._value:
            pass
        with pytest.raises(PasswordsBusy):
            passwords.verify(stored, "find nine violet eggs", stranger=True)
    for thread in waiting:
        thread.join()
    assert answers == [True, True]
    assert passwords.verify(stored, "find nine violet eggs", stranger=True)
