"""Entries that take more clearance than their room: what their readers see, and what is left for others."""

from itertools import pairwise
from typing import Any, Final

from tests.gateway.asking import ask
from tests.gateway.following import Socket, setting
from tests.gateway.serving import ROOM, Served, peopled, served
from tests.gateway.test_clearance import HIGH, give
from tests.gateway.world import World, room_command

SECRET: Final = "the insider is Mallory"
LEFT: Final = {"type", "room", "seq", "id", "kind", "at", "prev", "hash"}


def talked() -> World:
    """Ana, who has the clearance, and bob have talked: a plain message, a secret, a plain one again."""
    world = peopled("acme")
    give(world, "ana", HIGH)
    said = {"type": "post", "actor": "usr_ana", "clearance": HIGH}
    world.commit("acme", ROOM, room_command(**said, body="hello", client_id="c-1"))
    marks = {"entry_clearance": HIGH, "tlp": "RED"}
    world.commit("acme", ROOM, room_command(**said, body=SECRET, client_id="c-2", **marks))
    world.commit("acme", ROOM, room_command(**said, body="bye", client_id="c-3", thread=3))
    return world


def whole(entries: list[dict[str, Any]], count: int) -> None:
    """Entries whose seqs and links have no hole."""
    assert [entry["seq"] for entry in entries] == list(range(1, count + 1))
    assert all(before["hash"] == entry["prev"] for before, entry in pairwise(entries))


def veiled(entry: dict[str, Any]) -> bool:
    """Whether nothing but its place is told of an entry."""
    return entry["kind"] == "inaccessible" and entry.keys() == LEFT


async def test_below_its_clearance_a_page_shows_the_place_of_an_entry() -> None:
    async with served(talked()) as it:
        below = await ask(it, "GET", f"/rooms/{ROOM}/entries", "bob")
        assert SECRET not in below.text
        whole(below.json()["items"], 4)
        assert [veiled(entry) for entry in below.json()["items"]] == [False, False, True, False]
        above = (await ask(it, "GET", f"/rooms/{ROOM}/entries", "ana")).json()["items"]
        whole(above, 4)
        marking = {"clearance": HIGH, "tlp": "RED", "pap": "AMBER"}
        assert above[2]["body"] == {"text": SECRET, "marking": marking}
        assert (above[2]["kind"], above[2]["client_id"]) == ("marked_message", "c-2")
        assert [e["hash"] for e in above] == [e["hash"] for e in below.json()["items"]]


async def test_no_filter_tells_of_what_kind_an_entry_is() -> None:
    async with served(talked()) as it:
        for kind in ("marked_message", "inaccessible"):
            found = await ask(it, "GET", f"/rooms/{ROOM}/entries?kind={kind}", "bob")
            assert found.json()["items"] == [], kind
        found = await ask(it, "GET", f"/rooms/{ROOM}/entries?kind=marked_message", "ana")
        assert len(found.json()["items"]) == 1


async def test_the_chain_shows_its_place_and_its_links() -> None:
    async with served(talked()) as it:
        below = (await ask(it, "GET", f"/rooms/{ROOM}/chain", "bob")).json()["items"]
        whole(below, 4)
        kinds = ["room_created", "message", "inaccessible", "message"]
        assert [header["kind"] for header in below] == kinds
        assert "actor" not in below[2]
        above = (await ask(it, "GET", f"/rooms/{ROOM}/chain", "ana")).json()["items"]
        assert above[2]["actor"] == "usr_ana"


async def _post(it: Served, name: str, **marks: Any) -> tuple[int, str]:
    body = {"client_id": f"c-{name}-{len(marks)}", "body": "x", **marks}
    answer = await ask(it, "POST", f"/rooms/{ROOM}/entries", name, json=body)
    return answer.status_code, answer.json().get("code", "")


async def test_an_entry_is_marked_when_it_is_posted_by_rest() -> None:
    async with served(talked()) as it:
        assert await _post(it, "ana", clearance=HIGH, tlp="RED", pap="RED") == (201, "")
        assert await _post(it, "ana", tlp="GREEN") == (422, "invalid")
        assert await _post(it, "bob", clearance=1, tlp="RED") == (403, "forbidden")
        assert await _post(it, "bob", clearance=9) == (422, "invalid")
        again = {"client_id": "c-ana-3", "body": "x"}
        answer = await ask(it, "POST", f"/rooms/{ROOM}/entries", json=again)
        assert answer.status_code == 409


async def test_sockets_get_their_own_copy_live_and_replayed() -> None:
    async with served(talked()) as it, it.signed_in("ana") as ana, it.signed_in("bob") as bob:
        for client, hidden in ((ana, False), (bob, True)):
            frames = (await client.follow(after=0))[:-1]
            whole(frames, 4)
            assert veiled(frames[2]) is hidden
        fields = {"room": ROOM, "client_id": "c-9", "body": SECRET, "clearance": HIGH}
        await ana.send(type="post", kind="message", **fields)
        own, other = await ana.get(), await bob.get()
        assert (own["client_id"], own["body"]["text"]) == ("c-9", SECRET)
        assert veiled(other)
        assert (other["seq"], other["hash"]) == (own["seq"], own["hash"])
        await ana.send(type="post", **{**fields, "client_id": "c-10", "tlp": "CLEAR"})
        refused = await ana.get()
        assert (refused["type"], refused["code"]) == ("rejected", "invalid")
        # The same post again is answered by the same entry.
        await ana.send(type="post", kind="message", **fields)
        assert await ana.get() == own


async def test_an_entry_that_was_erased_is_shown_to_the_highest_clearance_only() -> None:
    async with setting() as it:
        low, top = Socket("usr_bob", clearance=2), Socket("usr_vera", clearance=3)
        seq = it.do(
            type="post", actor="usr_ana", body=SECRET, client_id="s", clearance=1, entry_clearance=1
        )
        stored = it.room.entries[-1]
        kept = {name: getattr(stored, name) for name in stored.__slots__}
        it.room.entries[-1] = type(stored)(**{**kept, "content": None})
        await it.follow(low, after=seq - 1)
        await it.follow(top, after=seq - 1)
        assert veiled(low.frames[0])
        assert top.frames[0]["kind"] == "marked_message"
