"""Small requests to servers that somebody has named: bounded, and only where they may go."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors.protocol.fetching import FetchFailed, FetchTrouble, OutboundRequest
from actors.protocol.outbound import refusal_of_address
from connectors.fetching import ANSWER_BYTES_MAX, Fetcher
from tests.connectors.test_outbound_client import HERE, certificate, product


async def trouble(fetcher: Fetcher, url: str, **more: Any) -> FetchTrouble:
    """Why there is no answer."""
    with pytest.raises(FetchFailed) as failed:
        await fetcher.fetch(OutboundRequest(url, **more))
    return failed.value.trouble


async def test_an_answer_comes_with_its_status_and_is_asked_for_unpacked() -> None:
    async with product() as server:
        url = f"http://{HERE}:{server.port}/a"
        answer = await Fetcher(loopback=True).fetch(OutboundRequest(url, headers={"X-A": "b"}))
        assert (answer.status, answer.body) == (200, b"ok")
        [head] = server.heads
        assert head.startswith("GET /a HTTP/1.1\r\n")
        assert "accept-encoding: identity" in head.lower()
        assert "x-a: b" in head.lower()


async def test_a_form_is_posted() -> None:
    async with product() as server:
        url = f"http://{HERE}:{server.port}/token"
        await Fetcher(loopback=True).fetch(OutboundRequest(url, "POST", body=b"a=b"))
        assert server.heads[0].startswith("POST /token")


async def test_a_redirect_is_an_answer_and_nobody_follows_it() -> None:
    async with product() as server, product() as other:
        target = f"http://{HERE}:{other.port}/".encode()
        server.answer = b"HTTP/1.1 302 X\r\ncontent-length: 0\r\nlocation: " + target + b"\r\n\r\n"
        url = f"http://{HERE}:{server.port}/"
        answer = await Fetcher(loopback=True).fetch(OutboundRequest(url))
        assert answer.status == 302
        assert other.heads == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:1/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/"),
        *("https://169.254.169.254/", "https://10.0.0.1/", "https://192.168.1.1:8443/"),
        *("https://2130706433/", "https://0x7f.1/", "https://8.8.8.8:22/", "http://8.8.8.8/"),
        *("file:///etc/passwd", "gopher://8.8.8.8/", "https://[64:ff9b::7f00:1]/", "https:///"),
        *("https://[", "https://a:b:c/", "https://8.8.8.8:99999/", ""),
    ],
)
async def test_what_may_not_be_called_is_not(url: str) -> None:
    assert await trouble(Fetcher(total_s=2.0), url) in (
        FetchTrouble.REFUSED,
        FetchTrouble.UNREACHABLE,
    )


async def test_a_name_that_leads_to_this_machine_is_not_called() -> None:
    async def inside(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(0)
        return [HERE]

    fetcher = Fetcher(resolve=inside)
    assert await trouble(fetcher, "https://idp.example/") is FetchTrouble.REFUSED


def test_an_approved_private_network_may_be_called_at_the_usual_ports_and_no_other() -> None:
    policy = Fetcher(["10.0.0.0/24"]).policy_for("https://idp.example/")
    assert refusal_of_address(policy, "10.0.0.1", 443) is None
    assert refusal_of_address(policy, "10.0.1.1", 443) is not None
    assert refusal_of_address(policy, "10.0.0.1", 27017) is not None
    assert refusal_of_address(policy, "127.0.0.1", 443) is not None


def test_where_this_machine_may_be_asked_other_places_still_need_tls_and_the_usual_ports() -> None:
    fetcher = Fetcher(loopback=True)
    with pytest.raises(FetchFailed):
        fetcher.policy_for("http://idp.example/")
    policy = fetcher.policy_for("https://idp.example:6379/")
    assert refusal_of_address(policy, "8.8.8.8", 6379) is not None


async def test_too_much_is_not_read_to_its_end() -> None:
    async with product() as server:
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (ANSWER_BYTES_MAX + 1)
        server.endless = True
        url = f"http://{HERE}:{server.port}/"
        assert await trouble(Fetcher(loopback=True), url) is FetchTrouble.TOO_LARGE


async def test_a_packed_answer_is_none() -> None:
    async with product() as server:
        server.answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"
        url = f"http://{HERE}:{server.port}/"
        assert await trouble(Fetcher(loopback=True), url) is FetchTrouble.BAD_ANSWER


async def test_the_time_is_for_all_of_it() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(drip, HERE, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(10):
            fetcher = Fetcher(loopback=True, total_s=0.2)
            assert await trouble(fetcher, f"http://{HERE}:{port}/") is FetchTrouble.TIMEOUT
    finally:
        server.close()


async def test_a_server_that_is_not_there_and_one_that_is_not_trusted_are_told_apart(
    tmp_path: Path,
) -> None:
    fetcher = Fetcher(loopback=True)
    assert await trouble(fetcher, f"http://{HERE}:1/") is FetchTrouble.UNREACHABLE
    served, _ = certificate(tmp_path, "idp.example")
    async with product(served) as server:
        url = f"https://{HERE}:{server.port}/"
        assert await trouble(fetcher, url) is FetchTrouble.TLS_FAILED
        assert await trouble(fetcher, url, ca_pem="no certificate") is FetchTrouble.TLS_FAILED
        assert server.heads == []


async def test_failures_hold_nothing_of_what_was_sent() -> None:
    request = OutboundRequest(
        "http://127.0.0.1:1/?q=hunter2", headers={"Authorization": "hunter2"}, body=b"hunter2"
    )
    with pytest.raises(FetchFailed) as failed:
        await Fetcher(loopback=True).fetch(request)
    assert "hunter2" not in repr(failed.value)
    assert failed.value.__cause__ is None
    assert repr(request).count("hunter2") == 1  # the URL, which is no secret


def test_a_network_that_is_none_is_said_at_the_start() -> None:
    with pytest.raises(ValueError, match="not appear"):
        Fetcher(["not a network"])
