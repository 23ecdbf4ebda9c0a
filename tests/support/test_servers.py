"""Which servers a run gets: what can't work says so, and nothing is skipped."""

from pathlib import Path

import pytest

from tests.support import containers
from tests.support.containers import NoEngine
from tests.support.servers import MONGO_URL, NATS_URL, SECRETS_DIR, SERVERS, BadSetting, stack_for


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({NATS_URL: "nats://127.0.0.1:4222"}, "WARDROOM_TEST_SECRETS_DIR"),
        ({MONGO_URL: "mongodb://127.0.0.1:27017"}, "WARDROOM_TEST_SECRETS_DIR"),
        ({SERVERS: "elsewhere"}, "embedded or containers"),
        (
            {SERVERS: "containers", MONGO_URL: "mongodb://127.0.0.1", SECRETS_DIR: "secrets"},
            "unset",
        ),
    ],
    ids=[
        "NATS without its secrets",
        "MongoDB without its secrets",
        "an unknown way",
        "containers and a URL",
    ],
)
async def test_a_contradiction_is_named(
    environment: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSetting, match=complaint):
        async with stack_for(tmp_path, environment):
            pass


async def test_containers_without_an_engine_fail_and_say_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "ENGINE_SOCKET", tmp_path / "docker.sock")
    with pytest.raises(NoEngine, match="start Docker"):
        async with stack_for(tmp_path, {SERVERS: "containers"}):
            pass
