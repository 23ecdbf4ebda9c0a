"""Calling servers of others: the connection goes to what was judged."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.protocol.outbound import OutboundPolicy
from connectors import http
from connectors.http import AnswerTooLarge, OutboundRefused, TransportError, outbound_client

HERE = "127.0.0.1"
NAME = "siem.example"


class Product:
    """A server of somebody else: remembers what it was asked, answers what it is told to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[str] = []
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        self.endless = False

    def policy(self, **more: object) -> OutboundPolicy:
        """Loopback, where the product happens to be, at its port."""
        return OutboundPolicy(loopback=True, ports=frozenset({self.port}), **more)  # type: ignore[arg-type]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(self.answer)
            while self.endless:
                writer.write(bytes(65_536))
                await writer.drain()
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def product(tls: ssl.SSLContext | None = None) -> AsyncIterator[Product]:
    """A product on a port of its own."""
    made = Product(0)
    server = await asyncio.start_server(made.serve, HERE, 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


class Names:
    """A resolver under the control of an attacker: each time the next answer."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0)


async def test_a_request_goes_to_the_judged_address_under_its_own_name() -> None:
    names = Names([HERE])
    async with product() as siem:
        url = f"http://{NAME}:{siem.port}"
        async with outbound_client(url, siem.policy(), resolve=names) as client:
            answer = await client.get("/api", params={"page": "1"})
    assert answer.text == "ok"
    assert names.asked == [NAME]
    assert siem.heads[0].startswith("GET /api?page=1 HTTP/1.1\r\n")
    assert f"host: {NAME}:{siem.port}" in siem.heads[0].lower()


async def test_a_name_that_changes_its_mind_is_judged_each_time() -> None:
    names = Names([HERE], ["169.254.169.254"])
    async with product() as siem:
        url = f"http://{NAME}:{siem.port}"
        async with outbound_client(url, siem.policy(), resolve=names) as client:
            await client.get("/")
            with pytest.raises(OutboundRefused, match=r"169[.]254[.]169[.]254: a metadata service"):
                await client.get("/")
    assert len(siem.heads) == 1


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    names = Names([HERE, "10.0.0.1"])
    async with product() as siem:
        url = f"http://{NAME}:{siem.port}"
        async with outbound_client(url, siem.policy(), resolve=names) as client:
            with pytest.raises(OutboundRefused, match="not a public address"):
                await client.get("/")
    assert siem.heads == []


async def test_loopback_is_refused_as_the_machine_itself_resolves_it() -> None:
    async with product() as siem:
        policy = OutboundPolicy(ports=frozenset({siem.port}))
        for host in ("localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"):
            async with outbound_client(f"http://{host}:{siem.port}", policy) as client:
                with pytest.raises(OutboundRefused):
                    await client.get("/")
    assert siem.heads == []


async def test_a_redirect_is_not_followed_unless_asked_and_then_judged_again() -> None:
    async with product() as siem:
        siem.answer = (
            b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/latest\r\ncontent-length: 0\r\n\r\n"
        )
        url = f"http://{HERE}:{siem.port}"
        policy = siem.policy()
        async with outbound_client(url, policy) as client:
            assert (await client.get("/")).status_code == 302
        async with outbound_client(url, policy, follow_redirects=True) as client:
            with pytest.raises(OutboundRefused):
                await client.get("/")


async def test_credentials_stay_with_the_server_they_are_for() -> None:
    async with product() as siem, product() as other:
        siem.answer = (
            f"HTTP/1.1 302 Found\r\nlocation: http://{HERE}:{other.port}/\r\n"
            "content-length: 0\r\n\r\n"
        ).encode()
        policy = OutboundPolicy(loopback=True, ports=frozenset({siem.port, other.port}))
        url = f"http://{HERE}:{siem.port}"
        async with outbound_client(url, policy, follow_redirects=True) as client:
            await client.get("/", headers={"Authorization": "Bearer canary"})
    assert "canary" in siem.heads[0]
    assert "canary" not in other.heads[0]


async def test_only_http_is_spoken() -> None:
    async with outbound_client("", OutboundPolicy(loopback=True)) as client:
        with pytest.raises((OutboundRefused, httpx.UnsupportedProtocol)):
            await client.get("file:///etc/passwd")


async def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_BYTES_MAX", 1_000_000)
    async with product() as siem:
        siem.answer, siem.endless = b"HTTP/1.1 200 OK\r\n\r\n", True
        url = f"http://{HERE}:{siem.port}"
        async with outbound_client(url, siem.policy()) as client:
            with pytest.raises(AnswerTooLarge):
                await client.get("/")


async def test_a_name_without_an_address_is_an_error_of_the_connection() -> None:
    async with outbound_client(f"https://{NAME}", OutboundPolicy(), resolve=Names([])) as client:
        with pytest.raises(TransportError, match="has no address"):
            await client.get("/")


async def test_the_certificate_must_be_the_names_and_of_a_trusted_authority(tmp_path: Path) -> None:
    served, trusted = certificate(tmp_path, NAME)
    async with product(served) as siem:
        policy = siem.policy()
        for host, verify, fine in (
            (NAME, trusted, True),
            ("other.example", trusted, False),
            (NAME, True, False),
        ):
            url = f"https://{host}:{siem.port}"
            names = Names([HERE])
            async with outbound_client(url, policy, verify=verify, resolve=names) as client:
                if fine:
                    assert (await client.get("/")).text == "ok"
                else:
                    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
                        await client.get("/")


def certificate(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate of its own making, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(file)
    trusted = ssl.create_default_context(
        cadata=certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
    return served, trusted
