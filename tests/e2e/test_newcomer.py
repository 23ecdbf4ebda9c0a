"""A newcomer: one command starts everything, and the lines it prints work as they stand."""

import asyncio
import json
import os
import re
import shlex
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.clients import Client, Json, rest
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
CLI: Final = (sys.executable, "-P", "-m", "deploy.cli")
"""What the launcher runs once it has its environment."""
START_S: Final = 45.0
STOP_S: Final = 30.0
COMMAND_S: Final = 30.0
PUT_DOWN: Final = {
    "connectors": ("logs/connectors-1.log", "nats.disconnected"),
    "actors": ("logs/actors-1.log", "actors.stopped"),
    "nats-server": ("nats/nats-server.log", "Server Exiting"),
}
"""The order in which parts end: their logs, and what stands in the last line of each."""
KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR")


def _listen_to_ctrl_c() -> None:
    # A shell starts what it puts in the background with Ctrl-C ignored, and children inherit that: these
    # tests may be in the background, a newcomer's terminal is not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Terminal:
    """A terminal of the newcomer's: where commands are typed. `settings` are its exports."""

    directory: Path
    settings: dict[str, str] = field(default_factory=dict)

    async def start(self, line: str) -> asyncio.subprocess.Process:
        """Type a line that begins with ./wardroom; what it prints can be read as it comes."""
        launcher, *arguments = shlex.split(line)
        assert launcher == "./wardroom", line
        given = {name: os.environ[name] for name in KEPT if name in os.environ}
        return await asyncio.create_subprocess_exec(
            *CLI,
            *arguments,
            cwd=self.directory,
            env={**given, "PYTHONPATH": str(ROOT), **self.settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_listen_to_ctrl_c,
        )

    async def run(self, line: str, status: int = 0) -> str:
        """Type a line and wait for its end; what it printed."""
        process = await self.start(line)
        try:
            async with asyncio.timeout(COMMAND_S):
                output, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        assert process.returncode == status, f"{line}: {output.decode()}{errors.decode()}"
        return output.decode()

    async def run_json(self, line: str) -> Json:
        """Type a line that answers one JSON object."""
        answer: Json = json.loads(await self.run(line))
        return answer


@dataclass
class Up:
    """A running `up`: its process, what it printed until it was ready, and its ready file."""

    process: asyncio.subprocess.Process
    printed: list[str]
    ready_file: Path

    @property
    def ready(self) -> Json:
        """The ready file."""
        document: Json = json.loads(self.ready_file.read_text())
        return document

    def lines_to_type(self) -> list[str]:
        """The commands among what was printed."""
        return [line.strip() for line in self.printed if line.strip().startswith("./wardroom")]

    def exports(self) -> dict[str, str]:
        """The settings among what was printed."""
        found = [re.fullmatch(r"\s+export (\w+)=(.*)", line) for line in self.printed]
        return {match[1]: shlex.split(match[2])[0] for match in found if match}

    async def interrupt(self, number: signal.Signals = signal.SIGINT) -> str:
        """Press Ctrl-C and wait for the end; what it printed then."""
        self.process.send_signal(number)
        async with asyncio.timeout(STOP_S):
            output, errors = await self.process.communicate()
        assert self.process.returncode == 0, errors.decode()
        assert errors == b""
        return output.decode()


@asynccontextmanager
async def up(terminal: Terminal, options: str = "") -> AsyncIterator[Up]:
    """Type `./wardroom up`, and see it ready."""
    ready_file = terminal.directory / "ready file.json"
    line = f"./wardroom up --port 0 --ready-file {shlex.quote(str(ready_file))} {options}"
    process = await terminal.start(line)
    try:
        assert process.stdout is not None
        printed: list[str] = []
        async with asyncio.timeout(START_S):
            while "Ctrl-C stops all" not in "".join(printed[-1:]):
                said = await process.stdout.readline()
                assert said, f"{printed} {await process.communicate()}"
                printed.append(said.decode().rstrip("\n"))
        yield Up(process, printed, ready_file)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def family(pid: int) -> set[int]:
    """The children of a process and theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                status = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found, following = set[int](), {pid}
    while following:
        following = {child for child, parent in parents.items() if parent in following}
        found |= following
    return found


def exists(path: str) -> bool:
    """Whether there is anything at a path."""
    return Path(path).exists()


def still_there(pids: set[int]) -> set[int]:
    """Those processes that have not ended."""
    return {pid for pid in pids if exists(f"/proc/{pid}")}


def order_of_ends(data_dir: Path) -> list[str]:
    """The parts in the order of the last lines in their logs, all of which end in good order."""
    logs = {name: data_dir / log for name, (log, _) in PUT_DOWN.items()}
    for name, (_, last) in PUT_DOWN.items():
        assert last in logs[name].read_text().splitlines()[-1]
    return sorted(logs, key=lambda name: logs[name].stat().st_mtime_ns)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in a directory of its own."""
    return Terminal(tmp_path)


async def test_one_command_starts_it_all_and_every_printed_line_works(terminal: Terminal) -> None:
    async with up(terminal, "--data-dir 'data dir'") as running:
        check_ready_file(running)
        terminal.settings |= running.exports()
        [shown, created, tailed, posted, published, verified] = running.lines_to_type()
        assert "acme" in await terminal.run("./wardroom tenant list")

        room = (await terminal.run(created)).strip()
        assert room in await terminal.run(shown)
        await two_terminals_talk(
            terminal, tailed.replace("ROOM", room), posted.replace("ROOM", room)
        )
        await a_report_opens_a_room(terminal, published)
        assert "verified" in await terminal.run(verified)
        assert "FAIL" not in await terminal.run("./wardroom doctor")
        await a_new_tenant_works_at_once(terminal, running.ready["url"])

        again = await terminal.run("./wardroom up --data-dir 'data dir'")
        assert again.startswith("already running")
        assert running.ready["url"] in again
        processes = family(running.process.pid)
        assert len(processes) >= 5
        assert "stopping" in await running.interrupt()
        assert still_there(processes) == set()
        assert not running.ready_file.exists()
        assert order_of_ends(terminal.directory / "data dir") == list(PUT_DOWN)
    await what_was_there_is_there_again(terminal, room)


def check_ready_file(running: Up) -> None:
    """The ready file is what the contract says."""
    assert stat.S_IMODE(running.ready_file.stat().st_mode) == 0o600
    ready = running.ready
    assert ready.keys() == {"url", "nats_url", "mongo_url", "pid", "data_dir", "tenants"}
    assert ready["pid"] == running.process.pid
    assert [tenant["id"] for tenant in ready["tenants"]] == ["acme", "globex"]
    printed = "\n".join(running.printed)
    assert ready["url"] in printed
    for tenant in ready["tenants"]:
        assert tenant.keys() == {"id", "users", "nats"}
        assert Path(tenant["nats"]["credentials_file"]).is_file()
        assert tenant["nats"]["url"] == ready["nats_url"]
        assert [user["role"] for user in tenant["users"]] == ["tenant_admin", "analyst", "viewer"]
        for user in tenant["users"]:
            assert user.keys() == {"username", "password", "role"}
            assert user["password"] in printed


async def two_terminals_talk(terminal: Terminal, tail: str, post: str) -> None:
    """What is posted in one terminal appears in another that follows."""
    tailing = await terminal.start(tail)
    assert tailing.stdout is not None
    try:
        async with asyncio.timeout(COMMAND_S):
            assert "room_created" in (await tailing.stdout.readline()).decode()
            receipt = await terminal.run(post)
            heard = (await tailing.stdout.readline()).decode()
    finally:
        tailing.send_signal(signal.SIGINT)
        async with asyncio.timeout(STOP_S):
            output, errors = await tailing.communicate()
    assert (tailing.returncode, output, errors) == (0, b"", b"")
    assert re.fullmatch(r"#2  [0-9a-f]{64}\n", receipt)
    assert heard.startswith("#2 ")
    assert "first sample is in the sandbox" in heard


async def a_report_opens_a_room(terminal: Terminal, publish: str) -> None:
    """A published offense has its room soon."""
    offense = str((await terminal.run_json(f"{publish} --json"))["offense"])

    async def ask() -> bool | None:
        lines = (await terminal.run("./wardroom room list --json")).splitlines()
        incidents = [json.loads(line)["incident"] or {} for line in lines]
        return any(incident.get("source_id") == offense for incident in incidents) or None

    await eventually(ask, f"a room for offense {offense}")


async def a_new_tenant_works_at_once(terminal: Terminal, url: str) -> None:
    """A tenant and a user that are made while it runs."""
    made = await terminal.run_json("./wardroom tenant create initech --json")
    assert exists(made["nats_credentials_file"])
    user = await terminal.run_json("./wardroom user create initech peter --role analyst --json")
    taken = await terminal.run("./wardroom user create initech peter", status=1)
    assert taken == ""
    async with rest(url) as http:
        peter = await Client.sign_in(http, "peter", user["password"])
        assert (await peter.call("GET", "/auth/me"))["tenant"] == "initech"
        room = await peter.open_room()
        assert (await peter.say(room, "hello", "c-1"))["seq"] == 2
        await an_operator_sees_to_users(terminal, peter)


async def an_operator_sees_to_users(terminal: Terminal, peter: Client) -> None:
    """A user of initech is shut out, let in again, and given another password."""
    async with peter.socket() as socket:
        assert "disabled" in await terminal.run("./wardroom user disable initech PETER")
        assert await socket.closed() == 4401
    listed = json.loads(await terminal.run("./wardroom user list initech --json"))
    assert (listed["username"], listed["disabled"], listed["deleted"]) == ("peter", True, False)
    assert "(disabled)" in await terminal.run("./wardroom user list initech")
    await terminal.run("./wardroom user disable initech peter", status=1)
    await terminal.run("./wardroom user disable initech nobody", status=1)
    await terminal.run("./wardroom user list nowhere", status=1)
    assert (await terminal.run_json("./wardroom user enable initech peter --json"))["id"]
    changed = await terminal.run_json("./wardroom user password initech peter --json")
    assert (await Client.sign_in(peter.http, "peter", changed["password"])).user == peter.user
    assert "deleted" not in await terminal.run("./wardroom user list initech --deleted")
    await terminal.run("./wardroom user clearance initech peter topmost", status=3)
    await terminal.run("./wardroom user clearance initech peter confidential")
    cleared = await Client.sign_in(peter.http, "peter", changed["password"])
    assert (await cleared.call("GET", "/auth/me"))["clearance"] == 2
    await rooms_are_marked(terminal)


async def rooms_are_marked(terminal: Terminal) -> None:
    """By acme's analyst, who has the lowest clearance."""
    made = await terminal.run_json("./wardroom room create Insider --tlp AMBER --json")
    room = made["room"]
    assert (await terminal.run(f"./wardroom room mark {room} --pap RED")).startswith("#2 ")
    await terminal.run(f"./wardroom room mark {room} --clearance secret", status=1)
    await terminal.run(f"./wardroom room mark {room} --clearance topmost", status=3)
    assert (await terminal.run(f"./wardroom room post {room} hello --tlp RED")).startswith("#3 ")
    await terminal.run(f"./wardroom room post {room} hello --tlp GREEN", status=1)


async def what_was_there_is_there_again(terminal: Terminal, room: str) -> None:
    """A second start on the same data; its end is told to those who are connected."""
    async with up(terminal, "--data-dir 'data dir'") as running:
        assert "shown at the first start" in "\n".join(running.printed)
        ready = running.ready
        analyst = ready["tenants"][0]["users"][1]
        async with rest(ready["url"]) as http:
            client = await Client.sign_in(http, analyst["username"], analyst["password"])
            async with client.socket() as socket:
                entries = (await socket.follow(room))[:-1]
                bodies = [entry["body"] for entry in entries if entry["kind"] == "message"]
                assert bodies == ["first sample is in the sandbox"]
                assert (await client.say(room, "still here", "c-1"))["seq"] == 3
                verdicts = json.loads(await terminal.run("./wardroom verify --live --json"))
                assert {each["tenant"]: each["verified"] for each in verdicts} == dict.fromkeys(
                    ("acme", "globex", "initech", "platform"), True
                )
                await running.interrupt(signal.SIGTERM)
                assert await socket.closed() == 1012
    assert "nothing runs here" in await refused(terminal, "./wardroom room list", 2)


async def refused(terminal: Terminal, line: str, status: int) -> str:
    """What a line that must fail says."""
    process = await terminal.start(line)
    output, errors = await process.communicate()
    assert (process.returncode, output) == (status, b"")
    return errors.decode()


async def test_without_the_demo_there_is_one_tenant_and_nothing_is_kept(
    terminal: Terminal,
) -> None:
    async with up(terminal, "--no-demo --ephemeral") as running:
        ready = running.ready
        assert [tenant["id"] for tenant in ready["tenants"]] == ["acme"]
        terminal.settings |= running.exports()
        assert terminal.settings["WARDROOM_DATA_DIR"] == ready["data_dir"]
        assert await terminal.run("./wardroom room list") == ""
        processes = family(running.process.pid)
        await running.interrupt()
    assert still_there(processes) == set()
    assert not exists(ready["data_dir"])
