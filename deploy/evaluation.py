"""`wardroom up`: the whole system on one machine, for evaluation, development and demonstrations."""

import asyncio
import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.context import READY_FILE, Ready, TenantAccess, default_data_dir
from deploy.local.datadir import DataDir
from deploy.local.process import free_port, port_is_free
from deploy.local.stack import GivenServers, LocalStack
from deploy.people import first_users, operator_client

TENANTS: Final = {"acme": "Acme Corporation", "globex": "Globex Industries"}
"""The demonstration's tenants; without it only the first."""
PORTS_TRIED: Final = 50

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the user asked for. `port` 0 means any free one."""

    data_dir: DataDir
    port: int
    demo: bool
    ready_files: tuple[Path, ...] = ()
    given: GivenServers = field(default_factory=GivenServers)
    secrets_dir: Path | None = None


@dataclass(slots=True)
class Evaluation:
    """One run of `up`."""

    options: UpOptions
    say: Say
    started: float = field(default_factory=time.monotonic)

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, say where it is, and keep it until `stop`.

        Raises:
            LocalError: a part could not be started, or ended by itself.
        """
        options = self.options
        stack = LocalStack(
            options.data_dir.path, options.given, self._process_options(), options.secrets_dir
        )
        try:
            await self._start(stack)
            await self._keep(stack, stop)
        finally:
            self.say("  stopping")
            for path in self._ready_files():
                path.unlink(missing_ok=True)
            await stack.stop()

    def _process_options(self) -> dict[str, str]:
        return {"WARDROOM_DEMO_TENANT": next(iter(TENANTS))} if self.options.demo else {}

    def _ready_files(self) -> tuple[Path, ...]:
        return (self.options.data_dir.path / READY_FILE, *self.options.ready_files)

    async def _start(self, stack: LocalStack) -> None:
        await stack.start_servers()
        self._ready_line("nats", stack.nats_url if stack.nats else "external")
        mongo = f"127.0.0.1:{stack.mongo.port}" if stack.mongo else "external"
        self._ready_line("mongodb", mongo)
        wanted = TENANTS if self.options.demo else dict(list(TENANTS.items())[:1])
        for tenant, name in wanted.items():
            await stack.create_tenant(tenant, name)
        actors = await stack.start_process("actors", "actors-1")
        gateway = await stack.start_process(
            "gateway", "gateway-1", {"WARDROOM_PORT": str(self._free_port())}
        )
        await actors.wait_ready()
        self._ready_line("actors", f"{len(wanted)} tenants")
        connectors = await stack.start_process("connectors", "connectors-1")
        provisioner = await stack.start_process("provisioner", "provisioner-1")
        async with operator_client(stack.nats_url, stack.secrets) as client:
            made = {tenant: await first_users(client, tenant, stack.secrets) for tenant in wanted}
        await gateway.wait_ready()
        self._ready_line("gateway", gateway.health_url)
        await connectors.wait_ready()
        self._ready_line("connectors", "demo-siem reports to acme" if self.options.demo else "idle")
        await provisioner.wait_ready()
        self._ready_line("provisioner", "makes tenants that are asked for")
        tenants = [
            TenantAccess(tenant, users, self._publishing(stack, tenant))
            for tenant, (users, _) in made.items()
        ]
        self._announce(stack, gateway.health_url, tenants)
        self._tell(gateway.health_url, tenants, new=any(new for _, new in made.values()))

    def _free_port(self) -> int:
        wanted = self.options.port
        if wanted == 0:
            return free_port()
        for port in range(wanted, wanted + PORTS_TRIED):
            if port_is_free(port):
                if port != wanted:
                    self.say(f"  port {wanted} is taken; using {port}")
                return port
        return free_port()

    def _publishing(self, stack: LocalStack, tenant: str) -> dict[str, str]:
        path = stack.secrets.tenant_credentials_file(tenant)
        return {"url": stack.nats_url, "credentials_file": str(path)}

    def _announce(self, stack: LocalStack, url: str, tenants: list[TenantAccess]) -> None:
        data_dir = self.options.data_dir
        data_dir.announce(url)
        where = str(data_dir.path)
        ready = Ready(url, stack.nats_url, stack.mongo_url, os.getpid(), where, tenants)
        for path in self._ready_files():
            ready.write(path)

    def _ready_line(self, part: str, where: str) -> None:
        seconds = time.monotonic() - self.started
        self.say(f"  ready  {part:<11} {where:<34} {seconds:5.1f} s")

    def _tell(self, url: str, tenants: list[TenantAccess], *, new: bool) -> None:
        say = self.say
        say("")
        say(f"  Wardroom   {url}")
        say(f"  API        {url}/docs   metrics {url}/metrics   health {url}/readyz")
        say("")
        for tenant in tenants:
            for user in tenant.users:
                shown = user.password if new else "(shown at the first start)"
                say(f"  {tenant.id:<8} {user.role:<13} {user.username:<16} {shown}")
        say("  These passwords were made now and are shown once." if new else "")
        say("")
        if self.options.data_dir.path != default_data_dir().absolute():
            say("  First, in every terminal, since the data is not in the usual place:")
            say(f"    export WARDROOM_DATA_DIR={shlex.quote(str(self.options.data_dir.path))}")
        say("  Talk from two terminals:")
        say("    ./wardroom room list")
        say("    ./wardroom room create 'Phishing wave'")
        say("    ./wardroom room tail ROOM")
        say("    ./wardroom room post ROOM 'first sample is in the sandbox'")
        say("  Report a QRadar offense as acme's SIEM and see its room appear:")
        say("    ./wardroom event publish")
        say("  Check every record against its chain:")
        say("    ./wardroom verify --live")
        say("")
        say("  One node, loopback only, for evaluation. Ctrl-C stops all.")

    async def _keep(self, stack: LocalStack, stop: asyncio.Event) -> None:
        watches = [child.process for child in stack.children]
        watches += [server.process for server in (stack.nats, stack.mongo) if server]
        tasks = [asyncio.create_task(process.watch()) for process in watches]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            for task in (*tasks, stopped):
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
