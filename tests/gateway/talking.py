"""Saying things over a socket, and waiting until they have arrived."""

from tests.gateway.serving import ROOM, Client, Served


async def post(client: Client, body: str, client_id: str, room: str = ROOM) -> None:
    """Say something over a socket."""
    await client.send(type="post", room=room, client_id=client_id, kind="message", body=body)


async def settled_reads(it: Served) -> None:
    """Let everything that is on the wire arrive: another connection goes there and back."""
    for _ in range(5):
        answer = await it.http.get("/livez")
        assert answer.status_code == 200
