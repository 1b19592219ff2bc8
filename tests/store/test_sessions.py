"""Sessions and links: each is good once, until its end, and no token of theirs stands in the database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from store import invitations, sessions, tokens
from store.crypto import day_of
from store.engine import Store
from store.forgetting import sweep
from store.invitations import StoredInvitation
from store.sessions import FLOW, SessionStage
from store.vault import Vault
from tests.store.portal_samples import put_users, session, user
from tests.store.samples import NOW

HOUR = timedelta(hours=1)


def test_a_token_has_256_bits_and_a_hash_for_the_database() -> None:
    assert tokens.new_token(lambda count: bytes(range(count))) == bytes(range(32)).hex()
    assert tokens.new_token() != tokens.new_token()
    assert tokens.key_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert tokens.key_of("\udcff") != tokens.key_of("abc"), "any text has one"


def test_a_session_lives_until_it_is_ended(store: Store) -> None:
    put_users(store, user())
    with store.write() as conn:
        sessions.add(conn, session())
        sessions.seen(conn, session().key, NOW + HOUR)
        assert sessions.confirmed(conn, session().key, NOW)
        changed = replace(session(), seen_at=NOW + HOUR, confirmed_at=NOW)
        assert sessions.find(conn, session().key) == sessions.find(conn, session().key, lock=True) == changed
        assert sessions.end(conn, session().key)
        assert (sessions.end(conn, session().key), sessions.find(conn, session().key)) == (False, None)
        assert not sessions.confirmed(conn, session().key, NOW)


def test_signing_out_everywhere_ends_the_steps_before_a_session_too(store: Store) -> None:
    put_users(store, user(), user("ann"))
    with store.write() as conn:
        sessions.add(conn, session("a"))
        sessions.add(conn, session("b", created_at=NOW + HOUR))
        sessions.add(conn, session("half", stage=SessionStage.CODE))
        sessions.add(conn, session("other", user_id="id-ann"))
        assert [one.key for one in sessions.of_user(conn, "id-kim")] == [tokens.key_of("b"), tokens.key_of("a")]
        assert sessions.end_all(conn, "id-kim", but=tokens.key_of("b")) == 1
        assert sessions.find(conn, tokens.key_of("half")) is None
        assert sessions.end_all(conn, "id-kim") == 1
        assert sessions.find(conn, tokens.key_of("other")) is not None


def test_what_is_brought_back_from_elsewhere_is_sealed(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        sessions.add(conn, session(user_id=None, stage=SessionStage.LEAVING))
        sealed = FLOW.seal(conn, vault, session().key, b'{"nonce": "n"}', until=NOW + HOUR)
        assert sessions.keep_flow(conn, session().key, sealed)
        kept = sessions.find(conn, session().key)
        assert kept is not None
        assert kept.flow == sealed
        assert b"nonce" not in sealed
        assert FLOW.unseal(conn, vault, session().key, sealed) == b'{"nonce": "n"}'
        assert not sessions.keep_flow(conn, "another key", sealed)


def test_the_sweep_deletes_sessions_and_links_that_are_over(store: Store, vault: Vault) -> None:
    put_users(store, user())
    with store.write() as conn:
        sessions.add(conn, session("old", ends_at=NOW))
        sessions.add(conn, session("new", ends_at=NOW + timedelta(microseconds=1)))
        invitations.add(conn, _link("old", ends_at=NOW - invitations.KEEP))
        sweep(conn, vault, NOW)
        assert sessions.find(conn, tokens.key_of("old")) is None
        assert sessions.find(conn, tokens.key_of("new")) is not None
        assert invitations.void(conn, "id-kim") == 0


def _link(token: str, **changes: object) -> StoredInvitation:
    plain = StoredInvitation(
        key=tokens.key_of(token), user_id="id-kim", author="cli:ann", created_at=NOW, ends_at=NOW + 24 * HOUR
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's own names


def test_a_link_is_good_once_and_until_its_end(store: Store) -> None:
    put_users(store, user())
    with store.write() as conn:
        invitations.add(conn, _link("a", totp=b"sealed"))
        assert invitations.find(conn, tokens.key_of("a"), NOW) == _link("a", totp=b"sealed")
        assert invitations.find(conn, tokens.key_of("a"), NOW + 24 * HOUR) is None
        assert not invitations.use(conn, tokens.key_of("a"), NOW + 24 * HOUR)
        assert invitations.open_until(conn, NOW) == {"id-kim": NOW + 24 * HOUR}
        assert invitations.use(conn, tokens.key_of("a"), NOW)
        assert invitations.open_until(conn, NOW) == {}
        assert invitations.find(conn, tokens.key_of("a"), NOW) is None
        assert not invitations.use(conn, tokens.key_of("a"), NOW)


def test_a_new_link_makes_the_old_one_void(store: Store) -> None:
    put_users(store, user())
    with store.write() as conn:
        invitations.add(conn, _link("a"))
        invitations.add(conn, _link("b"))
        assert not invitations.use(conn, tokens.key_of("a"), NOW)
        assert invitations.void(conn, "id-kim") == 1
        assert not invitations.use(conn, tokens.key_of("b"), NOW)


def test_of_two_with_the_same_link_one_is_let_in(store: Store) -> None:
    put_users(store, user())
    with store.write() as conn:
        invitations.add(conn, _link("a"))

    def use(_: int) -> bool:
        with store.write() as conn:
            return invitations.use(conn, tokens.key_of("a"), NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(use, range(8))) == 1


def test_a_flow_is_unreadable_when_its_day_is_over(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        sealed = FLOW.seal(conn, vault, "key", b"verifier", until=NOW)
        sweep(conn, vault, NOW + timedelta(days=1))
        assert day_of(NOW) == int.from_bytes(sealed[1:5], "big")
        assert FLOW.unseal(conn, vault, "key", sealed) is None
