"""Projections in a real MongoDB: what they give back, and that the newer one stays."""

import asyncio
from dataclasses import replace

from store.chain import Cursor, Head
from store.driver import Database, MongoConnection
from store.mongo import (
    DEAD_LETTERS,
    EVENTS,
    INVITATIONS,
    LOGINS,
    PLATFORM_DATABASE,
    ROOMS,
    SESSIONS,
    TENANT_ROLES,
    USERS,
)
from store.projections import Projections
from store.rows import (
    REGISTRATION,
    InvitationRow,
    PolicyRow,
    RoleRow,
    RoomRow,
    SessionRow,
    Snapshot,
    UserRow,
)
from store.tenant_reader import TenantReader

ROOM = RoomRow(
    room="war-room",
    name="Phishing at the front desk",
    kind="incident",
    status="open",
    members={"u_ana": "owner", "u_bob": "member"},
    open_to=("analyst",),
    incident={"incident": "i-1", "severity": "high"},
    created_ms=1_795_000_000_000,
    created_by="u_ana",
    applied=3,
)
USER = UserRow(
    user="u_ana",
    username="Ana",
    email="ana@example.org",
    display_name="Ana Lind",
    role="analyst",
    disabled=False,
    password_hash="$argon2id$v=19$...",
)
SESSION = SessionRow("s-1", "u_ana", 1_895_000_000_123, ended=False)


async def test_a_room_row_comes_back(projections: Projections, reader: TenantReader) -> None:
    await projections.save_room(ROOM, b"state")
    assert await reader.room("war-room") == ROOM
    assert await projections.snapshot("war-room") == Snapshot(3, b"state")
    assert await reader.room("other") is None
    assert await projections.snapshot("other") is None


async def test_names_and_incidents_are_sealed(projections: Projections, database: Database) -> None:
    await projections.save_room(ROOM, b"state of the room")
    stored = repr(await database[ROOMS].find({}).to_list(None))
    assert "Phishing" not in stored
    assert "severity" not in stored
    assert "state of" not in stored


async def test_an_older_room_never_replaces_a_newer_one(
    projections: Projections, reader: TenantReader
) -> None:
    newer = replace(ROOM, status="closed", applied=4)
    await projections.save_room(newer, b"newer")
    for late in (ROOM, replace(ROOM, applied=4)):
        await projections.save_room(late, b"late")
        await projections.save_state("war-room", Snapshot(late.applied, b"late"))
    assert await reader.room("war-room") == newer
    assert await projections.snapshot("war-room") == Snapshot(4, b"newer")


async def test_the_newer_of_two_stays_when_both_come_first(
    projections: Projections, reader: TenantReader
) -> None:
    rooms = [f"room-{number}" for number in range(40)]
    older = [replace(ROOM, room=room, applied=1) for room in rooms]
    newer = [replace(ROOM, room=room, applied=2, name="newer") for room in rooms]
    rows = [row for pair in zip(older, newer, strict=True) for row in pair]
    await asyncio.gather(*(projections.save_room(row, row.name.encode()) for row in rows))
    assert [await reader.room(room) for room in rooms] == newer
    for room in rooms:
        assert await projections.snapshot(room) == Snapshot(2, b"newer")


async def test_a_state_alone_is_no_room(projections: Projections, reader: TenantReader) -> None:
    await projections.save_state("_tenant", Snapshot(9, b"state"))
    assert await projections.snapshot("_tenant") == Snapshot(9, b"state")
    assert await reader.room("_tenant") is None
    assert await reader.rooms_for("u_ana", "analyst", after="", limit=10) == []


async def noted(database: Database, room: str) -> Head | None:
    """The head that stands noted for a room."""
    row = await database[ROOMS].find_one({"_id": room})
    return Head(row["head"], row["head_hash"]) if row and "head" in row else None


async def test_heads_are_noted_and_an_older_one_never_replaces_a_newer_one(
    projections: Projections, database: Database
) -> None:
    await projections.save_room(ROOM, b"state")
    old, new = Head(5, bytes(32)), Head(7, bytes([7] * 32))
    for heads in ({"war-room": old}, {"war-room": new, "_tenant": old}, {"war-room": old}, {}):
        await projections.save_heads(heads)
    assert await noted(database, "war-room") == new
    assert await noted(database, "_tenant") == old


async def test_a_room_is_projected_though_its_head_was_noted_first(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    await projections.save_heads({"war-room": Head(3, bytes(32))})
    assert await reader.room("war-room") is None
    await projections.save_room(ROOM, b"state")
    assert await reader.room("war-room") == ROOM
    assert await noted(database, "war-room") == Head(3, bytes(32))


async def test_rooms_are_listed_for_members_and_for_roles_in_order(
    projections: Projections, reader: TenantReader
) -> None:
    for name, members, open_to in (
        ("a", {"u_ana": "owner"}, ()),
        ("b", {"u_bob": "owner"}, ("analyst", "viewer")),
        ("c", {"u_bob": "owner"}, ()),
        ("d", {"u_ana": "member"}, ("analyst",)),
    ):
        row = replace(ROOM, room=name, members=members, open_to=open_to)
        await projections.save_room(row, b"")

    async def listed(user: str, role: str, after: str = "", limit: int = 10) -> list[str]:
        return [row.room for row in await reader.rooms_for(user, role, after=after, limit=limit)]

    assert await listed("u_ana", "viewer") == ["a", "b", "d"]
    assert await listed("u_ana", "analyst", limit=2) == ["a", "b"]
    assert await listed("u_ana", "analyst", after="b") == ["d"]
    assert await listed("u_eve", "external") == []


async def test_the_cursor_of_a_lane_only_goes_forward(projections: Projections) -> None:
    assert await projections.lane(2) == Cursor()
    for src in (5, 9, 7):
        await projections.save_lane(2, Cursor(src, src))
    assert await projections.lane(2) == Cursor(9, 9)
    assert await projections.lane(3) == Cursor()


async def test_a_user_comes_back_and_its_secrets_are_sealed(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    await projections.save_user(USER)
    assert await reader.user("u_ana") == USER
    assert await reader.user("u_bob") is None
    stored = repr(await database[USERS].find({}).to_list(None))
    for secret in ("argon2", "Ana", "example.org"):
        assert secret not in stored


async def test_users_are_listed_in_order(projections: Projections, reader: TenantReader) -> None:
    for name in ("u_c", "u_a", "u_b"):
        row = replace(USER, user=name, username=name, email=None)
        await projections.save_user(row)
    assert [row.user for row in await reader.users(after="", limit=2)] == ["u_a", "u_b"]
    assert [row.user for row in await reader.users(after="u_b", limit=2)] == ["u_c"]


async def test_an_older_user_never_replaces_a_newer_one_nor_brings_back_his_names(
    projections: Projections, reader: TenantReader
) -> None:
    older, newer = replace(USER, applied=3), replace(USER, disabled=True, email=None, applied=5)
    await projections.save_user(older)
    await projections.save_user(newer)
    await projections.release_logins("u_ana", ["ana@example.org"])
    await projections.save_user(older)
    assert await reader.user("u_ana") == newer
    # The same once more, as when an actor is loaded after it was cut off.
    await projections.save_user(newer)
    assert await reader.user("u_ana") == newer
    assert [row.user for row in await reader.users(after="", limit=5)] == ["u_ana"]


async def test_the_newer_of_two_first_rows_of_a_user_stays(
    projections: Projections, reader: TenantReader
) -> None:
    names = [f"u-{number}" for number in range(30)]
    rows = [
        replace(USER, user=name, username=name, email=None, disabled=applied == 2, applied=applied)
        for name in names
        for applied in (1, 2)
    ]
    await asyncio.gather(*map(projections.save_user, rows))
    for name in names:
        row = await reader.user(name)
        assert row is not None
        assert (row.disabled, row.applied) == (True, 2)


async def test_deleted_users_are_listed_apart_and_their_names_can_be_given_again(
    projections: Projections, reader: TenantReader
) -> None:
    for number in (1, 2):
        row = replace(USER, user=f"u_{number}", email=None, applied=number)
        await projections.save_user(row)
        gone = replace(row, deleted=True, applied=10 + number)
        await projections.save_user(gone)
        await projections.release_logins(row.user, [row.username])
        assert await reader.user(row.user) == gone
    await projections.save_user(replace(USER, user="u_3", email=None, applied=20))
    assert [row.user for row in await reader.users(after="", limit=5)] == ["u_3"]
    deleted = await reader.users(after="", limit=5, deleted=True)
    assert [row.user for row in deleted] == ["u_1", "u_2"]


async def test_many_sessions_end_together_and_no_others(
    projections: Projections, reader: TenantReader
) -> None:
    names = [f"s-{number}" for number in range(5)]
    for name in names:
        await projections.save_session(replace(SESSION, session=name))
    await projections.end_sessions([])
    await projections.end_sessions([*names[:3], "s-unknown"])
    assert [await reader.session_active(name) for name in names] == [False] * 3 + [True] * 2


async def test_a_session_lasts_until_it_is_ended(
    projections: Projections, reader: TenantReader
) -> None:
    assert not await reader.session_active("s-1")
    await projections.save_session(SESSION)
    assert await reader.session("s-1") == SESSION
    assert await reader.session_active("s-1")
    await projections.end_session("s-1")
    assert not await reader.session_active("s-1")


async def test_an_ended_session_does_not_come_back_to_life(
    projections: Projections, reader: TenantReader
) -> None:
    later = SESSION.expires_ms + 60_000
    await projections.save_session(SESSION)
    await projections.extend_session("s-1", later)
    await projections.end_session("s-1")
    await projections.save_session(SESSION)
    await projections.extend_session("s-1", SESSION.expires_ms + 30_000)
    assert await reader.session("s-1") == replace(SESSION, expires_ms=later, ended=True)


async def test_an_event_is_kept_once(projections: Projections, database: Database) -> None:
    for said in ("first", "again"):
        await projections.save_event("qradar-17", {"said": said})
    stored = await database[EVENTS].find({}).to_list(None)
    assert [document["_id"] for document in stored] == ["qradar-17"]
    assert b"first" not in stored[0]["sealed"]


async def test_a_dead_letter_is_kept_once_and_read_back(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    for body in (b"\xffunreadable", b"again"):
        await projections.save_dead_letter("k-1", "not JSON", "ingest.acme.qradar.offense", body)
    letters = await reader.dead_letters(limit=10)
    assert [(letter["id"], letter["reason"], letter["body"]) for letter in letters] == [
        ("k-1", "not JSON", b"\xffunreadable")
    ]
    assert "unreadable" not in repr(await database[DEAD_LETTERS].find({}).to_list(None))


async def test_an_older_role_never_brings_back_what_a_newer_one_took_away(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    role = RoleRow("role_desk", "Front desk", ("rooms.read", "rooms.write"), applied=3)
    newer = replace(role, permissions=("rooms.read",), applied=4)
    await asyncio.gather(projections.save_role(role), projections.save_role(newer))
    await projections.save_role(role)
    assert await reader.people.role("role_desk") == newer
    assert await reader.people.roles(after="", limit=5) == [newer]
    assert await reader.people.roles(after="role_desk", limit=5) == []
    assert "Front desk" not in repr(await database[TENANT_ROLES].find({}).to_list(None))
    await projections.save_role(replace(newer, applied=5, deleted=True))
    await projections.save_role(newer)
    assert (
        await reader.people.role("role_desk"),
        await reader.people.roles(after="", limit=5),
    ) == (None, [])


async def test_a_policy_that_is_older_does_not_undo_a_newer_one(
    projections: Projections, reader: TenantReader
) -> None:
    assert await reader.people.policy(REGISTRATION) is None
    await projections.save_policy(PolicyRow(REGISTRATION, "closed", applied=5))
    await projections.save_policy(PolicyRow(REGISTRATION, "open", applied=4))
    assert await reader.people.policy(REGISTRATION) == "closed"


async def test_invitations_are_sealed_and_those_that_are_over_are_not_listed(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    living = InvitationRow("inv_1", "nina@example.org", "viewer", "d" * 64, 1_995_000_000_000)
    over = replace(living, invitation="inv_2", expires_ms=1_000)
    await asyncio.gather(projections.save_invitation(living), projections.save_invitation(over))
    assert await reader.people.invitations(after="", limit=5) == [living]
    assert await reader.people.invitation("inv_1") == living
    stored = repr(await database[INVITATIONS].find({}).to_list(None))
    assert "nina" not in stored
    assert "dddd" not in stored + repr(living)
    await projections.forget_invitation("inv_1")
    assert await reader.people.invitation("inv_1") is None


async def test_sessions_of_a_user_are_listed_with_the_address_that_is_sealed(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    first = replace(SESSION, address="192.0.2.77", expires_ms=1_995_000_000_000)
    rows = [replace(first, session=f"s-{number}") for number in (1, 2, 3)]
    for row in (*rows, replace(first, session="s-4", user="u_bob")):
        await projections.save_session(row)
    await projections.end_session("s-2")
    assert await reader.people.sessions_of("u_ana", after="", limit=5) == [rows[0], rows[2]]
    assert await reader.people.sessions_of("u_ana", after="s-1", limit=5) == [rows[2]]
    assert "192.0.2.77" not in repr(await database[SESSIONS].find({}).to_list(None))


async def test_who_waits_to_be_approved_is_found_by_no_name(
    projections: Projections, reader: TenantReader, connection: MongoConnection
) -> None:
    logins = connection.database(PLATFORM_DATABASE)[LOGINS]
    await projections.save_user(replace(USER, pending=True, applied=1))
    row = await reader.user("u_ana")
    assert row is not None
    assert not row.is_active
    assert await logins.find_one({"tenant": reader.tenant}) is None
    await projections.save_user(replace(USER, applied=2))
    found = logins.find({"tenant": reader.tenant})
    assert {document["user"] for document in await found.to_list(None)} == {"u_ana"}
