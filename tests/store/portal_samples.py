"""Users, sessions and proposals to store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from store.engine import Store
from store.proposals import StoredProposal
from store.sessions import SessionStage, StoredSession
from store.tokens import key_of
from store.users import User, add
from tests.store.samples import NOW


def user(login: str = "kim", **changes: Any) -> User:
    plain: dict[str, Any] = {
        "id": f"id-{login}",
        "login": login,
        "name": login.title(),
        "role": "administrator",
        "created_at": NOW,
    }
    return User(**plain | changes)


def put_users(store: Store, *users: User) -> None:
    with store.write() as conn:
        assert all(add(conn, somebody) for somebody in users)


def session(token: str = "token", **changes: Any) -> StoredSession:
    plain: dict[str, Any] = {
        "key": key_of(token),
        "user_id": "id-kim",
        "stage": SessionStage.OPEN,
        "created_at": NOW,
        "seen_at": NOW,
        "ends_at": NOW + timedelta(hours=12),
        "address": "192.0.2.7",
    }
    return StoredSession(**plain | changes)


def proposal(**changes: Any) -> StoredProposal:
    plain: dict[str, Any] = {
        "id": "p1",
        "base": "d14efd61578f",
        "text": "allow_list: ['+12025550143']",
        "edits": '[["allow_list", "+12025550143"]]',
        "environments": ("production",),
        "author": "kim",
        "created_at": NOW,
        "ends_at": NOW + timedelta(days=1),
    }
    return StoredProposal(**plain | changes)
