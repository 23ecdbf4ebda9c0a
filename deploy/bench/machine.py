"""Where a measurement was made, with what, and what "stored" meant there."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, Final

from nats.aio.client import Client
from pymongo import MongoClient

from connectors.http import http_client

PACKAGES: Final = ("uvloop", "uvicorn", "nats-py", "pymongo", "motor", "picows")
UNKNOWN: Final = "unknown"
_NANOSECONDS: Final = 1_000_000_000
_GIB: Final = 1024**3


def machine() -> dict[str, Any]:
    """The hardware and its kernel, and how busy it is before anything is measured."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / _GIB, 1),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
    }


async def versions(url: str, mongo: MongoClient[dict[str, Any]], nc: Client) -> dict[str, str]:
    """The versions of everything that takes part: the system at `url`, its servers, its drivers."""
    broker = nc.connected_server_version
    return {
        "wardroom": await _system_version(url),
        "python": platform.python_version(),
        "nats-server": f"{broker.major}.{broker.minor}.{broker.patch}",
        "mongod": str(mongo.server_info()["version"]),
        **{name: _installed(name) for name in PACKAGES},
    }


async def durability(
    mongo: MongoClient[dict[str, Any]], nats_monitoring_url: str | None
) -> dict[str, str]:
    """When a write counts as done, as the servers themselves say."""
    replica_set = mongo.admin.command("replSetGetConfig")["config"]
    engine = mongo.admin.command("serverStatus")["storageEngine"]["name"]
    journaled = replica_set.get("writeConcernMajorityJournalDefault", True)
    return {
        "mongod": f"w: majority, j: true; {len(replica_set['members'])} member(s), {engine}, "
        f"majority {'means' if journaled else 'does NOT mean'} journaled",
        "nats-server": await _jetstream_sync(nats_monitoring_url),
    }


async def _system_version(url: str) -> str:
    async with http_client(url) as http:
        answer = await http.get("/version")
        return str(answer.json().get("version", UNKNOWN)) if answer.is_success else UNKNOWN


async def _jetstream_sync(monitoring_url: str | None) -> str:
    if monitoring_url is None:
        return UNKNOWN
    async with http_client(monitoring_url) as http:
        answer = await http.get("/jsz", params={"config": "true"})
        config = answer.json().get("config", {})
    if config.get("sync_always"):
        return "file storage, sync_interval: always"
    return f"file storage, sync_interval: {config.get('sync_interval', 0) // _NANOSECONDS} s"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
