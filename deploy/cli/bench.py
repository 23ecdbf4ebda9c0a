"""`bench`: measures Wardroom and the raw limits under it, in one run, on a stack of its own."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
import uvloop

from deploy.bench.errors import BenchError
from deploy.bench.growth import GrowthSizes, measure_growth
from deploy.bench.growth_report import GrowthReport, growth_table
from deploy.bench.load import Login
from deploy.bench.measure import Watched
from deploy.bench.report import BenchReport
from deploy.bench.run import run_bench
from deploy.bench.table import table
from deploy.bench.targets import CLIENTS, BenchTargets
from deploy.context import User
from deploy.local.datadir import DataDir
from deploy.local.errors import LocalError
from deploy.local.stack import LocalStack
from deploy.people import create_user, new_password, operator_client
from deploy.telemetry import configure_logs

TENANT: Final = "bench"
GROWTH: Final = "growth"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def bench(
        workload: Annotated[
            list[str] | None,
            typer.Option(help="w1, w2, or growth (long; 3 GB); default: w1 and w2."),
        ] = None,
        rounds: Annotated[int, typer.Option(min=1, help="Each figure is their median.")] = 3,
        seconds: Annotated[float, typer.Option(min=1, help="Measured part of each load.")] = 10.0,
        data_dir: Annotated[Path | None, typer.Option(help="On which disk to measure.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="The report as one object.")] = False,
    ) -> None:
        """Measure messages per second and latency, as ratios to what the servers can do bare.

        Exit status 1 if a single acknowledged message was lost or stored twice.
        """
        configure_logs("error", "console", "bench")
        try:
            with (
                _directory(data_dir) as held,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                report = runner.run(_measure(held.path, workload or [], rounds, seconds))
                text = _text(report, as_json=as_json)
        except (BenchError, LocalError) as error:
            typer.echo(f"wardroom: {error}", err=True)
            raise typer.Exit(2) from error
        typer.echo(text)
        raise typer.Exit(0 if report.sound else 1)


def _directory(data_dir: Path | None) -> DataDir:
    return DataDir.open(data_dir) if data_dir else DataDir.open_ephemeral()


def _text(report: BenchReport | GrowthReport, *, as_json: bool) -> str:
    if as_json:
        return orjson.dumps(report.as_json()).decode()
    return growth_table(report) if isinstance(report, GrowthReport) else table(report)


async def _measure(
    directory: Path, workloads: list[str], rounds: int, seconds: float
) -> BenchReport | GrowthReport:
    def say(line: str) -> None:
        typer.echo(line, err=True)

    if workloads == [GROWTH]:
        return await measure_growth(directory, GrowthSizes(rounds=rounds), say)
    return await _measure_load(directory, workloads, rounds, seconds)


async def _measure_load(
    directory: Path, workloads: list[str], rounds: int, seconds: float
) -> BenchReport:
    admin = User("bench-admin", "tenant_admin", new_password())
    users = [User(f"bench-{number}", "analyst", new_password()) for number in range(CLIENTS)]
    async with LocalStack(directory) as stack:
        await stack.create_tenant(TENANT, "Bench")
        actors = await stack.start_process("actors", "actors-1")
        gateway = await stack.start_process("gateway", "gateway-1")
        await actors.wait_ready()
        async with operator_client(stack.nats_url, stack.secrets) as client:
            for user in (admin, *users):
                await create_user(client, TENANT, user)
        await gateway.wait_ready()
        targets = _targets(stack, gateway.health_url, admin, users)
        return await run_bench(
            targets, workloads, rounds, seconds, lambda line: typer.echo(line, err=True)
        )


def _targets(stack: LocalStack, url: str, admin: User, users: list[User]) -> BenchTargets:
    if stack.nats is None or stack.mongo is None:
        raise BenchError("the bench measures servers of its own")
    processes = [Watched(child.kind, child.process.pid) for child in stack.children]
    processes += [
        Watched("nats", stack.nats.process.pid),
        Watched("mongod", stack.mongo.process.pid),
    ]
    return BenchTargets(
        url=url,
        tenant=TENANT,
        admin=Login(admin.username, admin.password),
        users=tuple(Login(user.username, user.password) for user in users),
        mongo_admin_url=stack.mongo_url,
        nats_url=stack.nats_url,
        nats_creds_path=stack.secrets.credentials_file("provisioner"),
        nats_monitoring_url=stack.nats.monitoring_url,
        processes=tuple(processes),
    )
