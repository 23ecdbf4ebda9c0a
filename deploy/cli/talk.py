"""`room` and `event`: talk, listen and report from a terminal."""

import secrets
import time
from typing import Annotated, Any

import nats
import orjson
import typer

from actors.protocol.markings import CLEARANCES, Pap, Tlp
from connectors.vendors.demo_siem import offense
from deploy.cli.session import clearance_of, fail, local_stack, run, show, signed_in

As = Annotated[str | None, typer.Option("--as", help="Username; default: the analyst.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Clearance = Annotated[str | None, typer.Option(help=f"One of {', '.join(CLEARANCES)}.")]
TlpOption = Annotated[str | None, typer.Option("--tlp", help=f"One of {', '.join(Tlp)}.")]
PapOption = Annotated[str | None, typer.Option("--pap", help=f"One of {', '.join(Pap)}.")]
REPORT_SOURCE = "qradar"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    room = typer.Typer(no_args_is_help=True, help="Talk in rooms.")
    app.add_typer(room, name="room")
    event = typer.Typer(no_args_is_help=True, help="Report events as an external system.")
    app.add_typer(event, name="event")
    room.command("list")(list_rooms)
    room.command("create")(create_room)
    room.command("mark")(mark)
    room.command("post")(post)
    room.command("tail")(tail)
    event.command("publish")(publish)


def list_rooms(user: As = None, as_json: Json = False) -> None:
    """List the rooms you may enter."""

    async def work() -> None:
        async with signed_in(user) as api:
            answer = await api.call("GET", "/rooms?limit=100")
        for item in answer["items"]:
            line = f"{item['id']}  {item['status']:<7} {item['kind']:<9} {item['name']}"
            show(item, as_json=as_json, line=line)

    run(work)


def create_room(  # noqa: PLR0913 -- a parameter is an option
    name: str,
    open_to_all: Annotated[
        bool, typer.Option("--open/--private", help="Open to everyone of the tenant.")
    ] = True,
    clearance: Clearance = None,
    tlp: TlpOption = None,
    pap: PapOption = None,
    user: As = None,
    as_json: Json = False,
) -> None:
    """Open a room."""
    marking = _marking(clearance, tlp, pap)

    async def work() -> None:
        body: dict[str, Any] = {"name": name, **marking}
        if open_to_all:
            body["open_to"] = ["tenant_admin", "analyst", "viewer"]
        async with signed_in(user) as api:
            answer = await api.call("POST", "/rooms", body, key=secrets.token_hex(16))
        show(answer, as_json=as_json, line=str(answer["id"]))

    run(work)


def mark(
    room: str,
    clearance: Clearance = None,
    tlp: TlpOption = None,
    pap: PapOption = None,
    user: As = None,
    as_json: Json = False,
) -> None:
    """Mark a room otherwise: the clearance that it takes, TLP, PAP. Whoever has less is cut off at once."""
    marking = _marking(clearance, tlp, pap)

    async def work() -> None:
        async with signed_in(user) as api:
            answer = await api.call("PATCH", f"/rooms/{room}", marking, key=secrets.token_hex(16))
        receipt = answer["receipt"]
        show(answer, as_json=as_json, line=f"#{receipt['seq']}  {receipt['hash']}")

    run(work)


def _marking(clearance: str | None, tlp: str | None, pap: str | None) -> dict[str, Any]:
    level = clearance_of(clearance) if clearance is not None else None
    given = {"clearance": level, "tlp": tlp, "pap": pap}
    return {name: value for name, value in given.items() if value is not None}


def post(  # noqa: PLR0913 -- a parameter is an option
    room: str,
    text: str,
    clearance: Clearance = None,
    tlp: TlpOption = None,
    pap: PapOption = None,
    user: As = None,
    as_json: Json = False,
) -> None:
    """Say something; the answer is the receipt: seq and hash. It may be marked, more strictly than its
    room."""
    marking = _marking(clearance, tlp, pap)

    async def work() -> None:
        client_id = secrets.token_hex(16)
        body = {"client_id": client_id, "kind": "message", "body": text, **marking}
        async with signed_in(user) as api:
            receipt = await api.call("POST", f"/rooms/{room}/entries", body)
        show(receipt, as_json=as_json, line=f"#{receipt['seq']}  {receipt['hash']}")

    run(work)


def tail(
    room: str,
    after: Annotated[int, typer.Option(help="The last seq you have; 0 for all.")] = 0,
    user: As = None,
    as_json: Json = False,
) -> None:
    """Follow a room from a seq on, until Ctrl-C."""

    async def work() -> None:
        async with signed_in(user) as api, api.socket() as socket:
            await socket.send({"type": "subscribe", "room": room, "after": after})
            while True:
                frame = await socket.receive()
                if frame["type"] in ("rejected", "error"):
                    fail(f"{frame['code']}: {frame['detail']}", 1)
                if frame["type"] == "entry" or as_json:
                    show(frame, as_json=as_json, line=_line(frame))

    run(work)


def _line(frame: dict[str, Any]) -> str:
    body = frame.get("body")
    if frame["kind"] == "finding" and isinstance(body, dict):
        finding = body["finding"]
        body = (
            f"{finding['title']} (severity {finding['severity']}, {finding['event_count']} events)"
        )
    said = body if isinstance(body, str) else orjson.dumps(body).decode()
    return f"#{frame['seq']:<5} {frame['at']}  {frame.get('actor', '-'):<20} {frame['kind']:<13} {said}"


def publish(
    tenant: Annotated[str | None, typer.Option(help="Default: the first tenant.")] = None,
    offense_id: Annotated[int | None, typer.Option(help="Default: a new one.")] = None,
    severity: Annotated[int, typer.Option(min=0, max=10, help="QRadar's 0 to 10.")] = 8,
    as_json: Json = False,
) -> None:
    """Publish a QRadar offense with the tenant's own NATS credentials, as its SIEM would."""

    async def work() -> None:
        ready = local_stack()
        access = next((item for item in ready.tenants if tenant in (None, item.id)), None)
        if access is None:
            fail(f"no tenant {tenant!r}", 2)
        number = offense_id or secrets.randbelow(1_000_000)
        report = {**offense(0, int(time.time() * 1000)), "id": number, "severity": severity}
        client = await nats.connect(
            access.nats["url"], user_credentials=access.nats["credentials_file"]
        )
        try:
            ack = await client.request(
                f"ingest.{REPORT_SOURCE}.offense", orjson.dumps(report), timeout=5
            )
        finally:
            await client.close()
        answer = {"tenant": access.id, "offense": number, "ack": orjson.loads(ack.data)}
        line = f"offense {number} is buffered for {access.id}; 'wardroom room list' shows its room"
        show(answer, as_json=as_json, line=line)

    run(work)
