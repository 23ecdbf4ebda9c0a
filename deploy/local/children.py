"""Wardroom's own processes as children of a local stack."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import connectors.http
from connectors.http import http_client
from deploy.local.process import Launch, ServerProcess, free_port, polled

CHECKOUT: Final = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 8.0

ProcessKind = Literal["gateway", "actors", "connectors", "provisioner"]


@dataclass(slots=True)
class Child:
    """One running process of ours and where its health face is."""

    name: str
    kind: ProcessKind
    process: ServerProcess
    health_url: str

    async def wait_ready(self) -> None:
        """Return when every part of it is well.

        Raises:
            ServerCrashed, ServerNotReady: it ended, or took too long.
        """
        await self.process.until(self._ready(), READY_TIMEOUT_S)

    async def _ready(self) -> None:
        async with http_client(self.health_url) as http:

            async def ask() -> Literal[True] | None:
                try:
                    answer = await http.get("/readyz")
                except connectors.http.TransportError:
                    return None
                return True if answer.status_code == 200 else None

            await polled(ask)

    async def stop(self) -> int:
        """Ask it to put everything down."""
        return await self.process.stop(STOP_TIMEOUT_S)


async def start_child(
    name: str, kind: ProcessKind, directory: Path, environment: Mapping[str, str]
) -> Child:
    """Start a process of ours; it is ready later."""
    port = int(environment["WARDROOM_PORT"]) if kind == "gateway" else free_port()
    launch = Launch(
        name=name,
        command=(sys.executable, "-P", "-m", "deploy.cli", kind),
        directory=directory,
        explain=_explain,
        environment={
            **environment,
            "WARDROOM_PROCESS_NAME": name,
            "WARDROOM_HEALTH_PORT": str(port),
            "PYTHONPATH": str(CHECKOUT),
        },
    )
    return Child(name, kind, await ServerProcess.start(launch), f"http://127.0.0.1:{port}")


async def stop_all(children: Sequence[Child]) -> None:
    """Stop processes side by side."""
    await asyncio.gather(*(child.stop() for child in children))


def _explain(_status: int, _lines: Sequence[str]) -> str:
    return "The lines above are its last; 'wardroom doctor' checks what it needs."
