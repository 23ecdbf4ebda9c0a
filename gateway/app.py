"""The gateway, composed. Nothing is decided here."""

import copy
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel
from starlette.routing import WebSocketRoute

from actors.client import ActorClient, Reach
from actors.protocol.fetching import Fetch, nobody_answers
from actors.protocol.limits import FRAME_BYTES_MAX
from gateway import errors
from gateway.auth import Proofs, SignIn
from gateway.cors import allow_origins
from gateway.directories import Directories
from gateway.directory.addresses import judged_addresses
from gateway.directory_people import DirectoryPeople
from gateway.directory_services import DirectoryServices
from gateway.directory_sign_in import DirectorySignIn
from gateway.directory_sync import DirectorySync
from gateway.evidence import EvidenceReads
from gateway.failed_sign_ins import FailureRecords
from gateway.fanout import Fanout
from gateway.headers import SecurityHeaders
from gateway.joining import Joining, KnownPeople
from gateway.lockout import Lockout
from gateway.lockout_news import LockoutNews
from gateway.metrics import GatewayMetrics
from gateway.oidc.providers import Providers
from gateway.oidc_people import OidcPeople
from gateway.oidc_services import OidcServices
from gateway.oidc_sign_in import Door, Front, OidcSignIn
from gateway.passwords import PasswordCheck
from gateway.rate_limits import AddressLimit, Buckets
from gateway.replay import Replayer
from gateway.rest import (
    audit,
    auth,
    chain,
    directory,
    entries,
    identity_provider,
    joining,
    members,
    nats_credentials,
    oidc,
    parent_view,
    profile,
    roles,
    rooms,
    second_factor,
    sessions,
    tenants,
    users,
)
from gateway.rest.access import RestServices, Verifier, gate
from gateway.rest.health import Check, Health
from gateway.second_factor import SecondFactors
from gateway.session_check import SessionCheck
from gateway.settings import GatewaySettings
from gateway.sign_in_guard import SignInGuard
from gateway.socket import SocketEndpoint
from gateway.socket_services import SocketServices
from gateway.sockets import Sockets
from gateway.tasks import Background
from gateway.token_keys import ReadKeys, follow_keys
from gateway.tokens import TokenKeys, Tokens
from gateway.websocket_protocol import WardroomWebSocket
from store.reader import Reader

SHUTDOWN_S: Final = 10
"""How long open requests and closing sockets may take when the server is asked to stop."""
DESCRIPTION: Final = (
    "War rooms of a security operations centre. What happens live goes over the WebSocket at "
    "/ws/v1; errors are problem documents (RFC 9457) with a stable code."
)


@dataclass(frozen=True, slots=True)
class GatewayServices:
    """What a gateway is made of.

    `unavailable` are the exceptions by which the libraries underneath say that a server does not
    answer; they become 503 instead of 500. `reach` is told when sockets were written to.
    `read_token_keys` reads the keys anew, so that a rotation needs no restart. `clock` tells the seconds
    in which failed sign-ins are forgiven and requests counted; `wall_clock` tells the Unix seconds that
    codes of second factors are of. `fetch` asks identity providers.
    """

    reader: Reader
    actors: ActorClient
    token_keys: TokenKeys
    settings: GatewaySettings
    checks: Mapping[str, Check]
    verifier: Verifier
    metrics: GatewayMetrics
    unavailable: tuple[type[Exception], ...] = ()
    reach: Reach = lambda _: None
    read_token_keys: ReadKeys | None = None
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    fetch: Fetch = nobody_answers


class ProblemView(BaseModel):
    """A problem document (RFC 9457). `errors` names bad fields by JSON pointer or parameter;
    `challenge` and its life in seconds come with `second_factor_required`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, str]] | None = None
    instance: str | None = None
    challenge: str | None = None
    expires_in: int | None = None


def create_app(services: GatewayServices) -> FastAPI:
    """The application. Run it with `server_config`: its sockets need our WebSocket protocol."""
    settings = services.settings
    background = Background()
    tokens = Tokens(services.token_keys)
    checked = SessionCheck(services.reader)
    passwords = PasswordCheck(
        settings.argon2_memory_kib, settings.argon2_passes, services.metrics.password_hashes.inc
    )
    sockets = _sockets(services, tokens, checked, background)
    failures = _failure_parts(services, background)
    guard = failures.guard
    directory = _directory_parts(services, background)
    second_factors = SecondFactors(guard, services.wall_clock)
    proofs = Proofs(passwords, directory.sign_in, second_factors)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with background:
            background.spawn(sockets.look_after())
            background.spawn(failures.records.look_after())
            background.spawn(directory.services.sync.look_after())
            deaf = await services.actors.subscribe_ended_sessions(sockets.on_sessions_ended)
            alone = await services.actors.listen_to_gateways(failures.hear)
            if services.read_token_keys is not None:
                background.spawn(follow_keys(tokens, services.read_token_keys))
            yield
            await deaf()
            await alone()
            await failures.records.flush()
        passwords.close()
        directory.services.directories.close()

    app = _fastapi(settings, lifespan)
    app.state.rest = RestServices(
        reader=services.reader,
        actors=services.actors,
        tokens=tokens,
        sign_in=SignIn(services.reader, services.actors, tokens, guard, proofs),
        sessions=checked,
        sockets=sockets,
        verifier=services.verifier,
        evidence=EvidenceReads(services.actors),
        passwords=passwords,
        directory=directory.services,
        second_factors=second_factors,
        oidc=_oidc_services(services, guard),
        joining=_joining(services, KnownPeople(passwords, directory.services.directories)),
        session_limit=Buckets("session", settings.requests_per_second_session, services.clock),
        tenant_deletion_days=settings.tenant_deletion_days,
    )
    _guard_edge(app, services)
    app.include_router(_api())
    app.include_router(_health(services, tokens, app).router())
    app.router.routes.append(WebSocketRoute("/ws/v1", SocketEndpoint(sockets, settings).serve))
    return app


def _guard_edge(app: FastAPI, services: GatewayServices) -> None:
    settings = services.settings
    addresses = Buckets("address", settings.requests_per_second_address, services.clock)
    app.add_middleware(AddressLimit, buckets=addresses)
    allow_origins(app, settings.allowed_origins)
    app.add_middleware(SecurityHeaders, tls=settings.tls)
    errors.install(app, services.unavailable)


def _joining(services: GatewayServices, people: KnownPeople) -> Joining:
    return Joining(
        services.reader,
        services.actors,
        people,
        services.settings.newcomers_at_once_address,
        services.clock,
    )


@dataclass(frozen=True, slots=True)
class _FailureParts:
    records: FailureRecords
    guard: SignInGuard
    hear: Callable[[bytes], None]


def _failure_parts(services: GatewayServices, background: Background) -> _FailureParts:
    settings = services.settings
    records = FailureRecords(services.actors, background.spawn, services.clock)
    news = LockoutNews(services.actors, background.spawn)
    lockout = Lockout(
        settings.login_failures_account,
        settings.login_failures_address,
        services.clock,
        news.tell,
    )
    guard = SignInGuard(lockout, records, services.metrics)
    return _FailureParts(records, guard, partial(news.hear, lockout))


@dataclass(frozen=True, slots=True)
class _DirectoryParts:
    services: DirectoryServices
    sign_in: DirectorySignIn


def _directory_parts(services: GatewayServices, background: Background) -> _DirectoryParts:
    settings = services.settings
    directories = Directories(judged_addresses(loopback=settings.directory_loopback))
    people = DirectoryPeople(services.actors, directories)
    sync = DirectorySync(
        services.reader, services.actors, directories, people, settings.directory_sync_s
    )
    return _DirectoryParts(
        DirectoryServices(directories, sync, background.spawn),
        DirectorySignIn(services.reader, people, settings.directory_tenant),
    )


def _oidc_services(services: GatewayServices, guard: SignInGuard) -> OidcServices:
    settings = services.settings
    providers = Providers(
        services.fetch,
        loopback=settings.identity_provider_loopback,
        clock=services.clock,
        wall_clock=services.wall_clock,
    )
    sign_in = OidcSignIn(
        services.reader,
        services.actors,
        providers,
        Door(OidcPeople(services.actors), guard),
        Front(settings.public_url, settings.allowed_origins),
        services.wall_clock,
    )
    return OidcServices(providers, sign_in)


def _sockets(
    services: GatewayServices, tokens: Tokens, checked: SessionCheck, background: Background
) -> Sockets:
    fanout = Fanout(
        services.actors.subscribe_events, services.metrics, background.spawn, services.reach
    )
    return Sockets(
        services.actors,
        SocketServices(
            actors=services.actors,
            tokens=tokens,
            sessions=checked,
            fanout=fanout,
            replayer=Replayer(services.metrics),
            settings=services.settings,
            metrics=services.metrics,
        ),
    )


def _fastapi(
    settings: GatewaySettings, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]
) -> FastAPI:
    return FastAPI(
        title="Wardroom",
        version=settings.version,
        description=DESCRIPTION,
        lifespan=lifespan,
        # For every route, whichever file it comes from: none can be forgotten.
        dependencies=[Depends(gate)],
        generate_unique_id_function=lambda route: route.name,
        # What is served at these paths needs no internet, unlike FastAPI's own pages.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # FastAPI would look for exporters in the environment, which is not its to read.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )


def _api() -> APIRouter:
    problems = {"model": ProblemView, "description": "Refused or failed"}
    api = APIRouter(prefix="/api/v1", responses={"default": problems})
    for noun in (
        *(auth, oidc, profile, second_factor, joining, users, directory, identity_provider),
        *(sessions, roles, rooms, members, entries, chain, audit, tenants, parent_view),
        nats_credentials,
    ):
        api.include_router(noun.router())
    return api


def _health(services: GatewayServices, tokens: Tokens, app: FastAPI) -> Health:
    return Health(
        version=services.settings.version,
        checks=services.checks,
        registry=services.metrics.registry,
        tokens=tokens,
        openapi=lambda: openapi_document(app),
    )


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with problems in the media type that they are sent in."""
    document = copy.deepcopy(app.openapi())
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation["responses"]["default"]["content"]
            content[errors.PROBLEM_MEDIA_TYPE] = content.pop("application/json")
    return document


def server_config(
    app: FastAPI, settings: GatewaySettings, *, host: str, port: int
) -> uvicorn.Config:
    """How uvicorn must run the application."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ws=WardroomWebSocket,
        ws_max_size=FRAME_BYTES_MAX,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.heartbeat_s,
        ws_ping_timeout=settings.heartbeat_s,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Said either way: uvicorn would else believe any sender on this machine, and the environment.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
