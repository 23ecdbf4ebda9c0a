"""`/integrations/nats-credentials`: with what a tenant's external systems sign in to NATS.

The key pair is made here, and its private half is in this one answer and nowhere else. What has the right
to sign a token for the public half is the provisioner; the answer waits for it a moment.
"""

import asyncio
import time
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from actors.protocol.commands import ManageNatsCredential
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM, TOKEN_PATTERN
from actors.protocol.limits import NATS_SOURCES_MAX
from actors.protocol.nats_credentials import (
    CredentialAction,
    CredentialName,
    LifeS,
    Make,
    OverlapS,
    Revoke,
    Rotate,
    Source,
    credentials_text,
    publish_subjects,
)
from gateway.frames import rfc3339
from gateway.nats_keys import UserKey, new_user_key
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    Caller,
    IdempotencyKey,
    Limit,
    RestServices,
    Services,
    SignedIn,
)
from gateway.rest.commands import ReceiptView, by, new_id, receipt_view, send
from gateway.rest.strict import StrictRoute
from store.rows import NatsCredentialRow

READY_WAIT_S: Final = 4.0
"""How long an answer waits for the provisioner, which looks every half second."""
READY_POLL_S: Final = 0.1
OVERLAP_S_DEFAULT: Final = 3_600

CredentialInPath = Annotated[str, Path(pattern=TOKEN_PATTERN)]


class NewNatsCredential(Body):
    """A credential to make. It may publish for these sources, or for all; without `expires_in_s` it has no
    end."""

    name: CredentialName
    sources: Annotated[list[Source], Field(max_length=NATS_SOURCES_MAX)] = Field(default=[])
    expires_in_s: LifeS | None = None


class Rotation(Body):
    """How to replace a credential: the old one works for `overlap_s` seconds more. Without `expires_in_s`
    the new one is to live as long as the old one was."""

    overlap_s: OverlapS = OVERLAP_S_DEFAULT
    expires_in_s: LifeS | None = None


class NatsCredentialView(BaseModel):
    """A credential. `status` is pending until it can be used, then active, expired or revoked; revoking
    for the moment until the servers know.

    `publish` are subjects inside the tenant's own account. `ends_at` is when a replaced one is revoked.
    `last_used_at` is at most about a minute old for one in steady use.
    """

    id: str
    name: str
    status: Literal["pending", "active", "expired", "revoking", "revoked"]
    sources: list[str]
    publish: list[str]
    public_key: str
    created_at: str
    created_by: str
    expires_at: str | None
    replaces: str | None
    replaced_by: str | None
    ends_at: str | None
    revoked_at: str | None
    revoked_by: str | None
    last_used_at: str | None


class SignedNatsCredentialView(NatsCredentialView):
    """A credential with its token, which is no secret: it is of use only to who has the seed."""

    token: str | None


class NatsCredentialPage(BaseModel):
    """Credentials by id; `next` is the `cursor` of the following page."""

    items: list[NatsCredentialView]
    next: str | None


class MadeNatsCredential(BaseModel):
    """A new credential. `creds` is the content of a NATS credentials file, and `seed` the secret in it:
    both are shown this once and kept nowhere. While `creds` is null (202), the token is not signed yet:
    take it from the credential when it is active."""

    credential: str
    seed: str = Field(repr=False)
    creds: str | None = Field(repr=False)
    receipt: ReceiptView


class NatsCredentialRevoked(BaseModel):
    """A revocation is recorded. `status` is revoked once every server was told (200); before that revoking
    (202)."""

    credential: str
    status: Literal["revoking", "revoked"]
    receipt: ReceiptView


async def list_nats_credentials(
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
) -> NatsCredentialPage:
    """The credentials of the tenant, revoked ones too."""
    rows = await caller.reader.nats_credentials.page(after=cursor or "", limit=limit + 1)
    page = rows[:limit]
    uses = await caller.reader.nats_credentials.last_uses(row.public_key for row in page)
    following = page[-1].credential if len(rows) > limit else None
    items = [NatsCredentialView(**_facts(row, uses.get(row.public_key))) for row in page]
    return NatsCredentialPage(items=items, next=following)


async def create_nats_credential(
    body: NewNatsCredential,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> MadeNatsCredential:
    """Make a credential. A repeated request is refused, since what it asks for was shown already."""
    made = new_user_key()
    credential = new_id("nat", caller, key)
    action = Make(
        name=body.name,
        public_key=made.public,
        sources=tuple(body.sources),
        life_s=body.expires_in_s,
    )
    receipt = await _manage(services, caller, credential, action, key)
    return await _shown_once(caller, credential, made, receipt, response)


async def get_nats_credential(
    credential: CredentialInPath, caller: SignedIn
) -> SignedNatsCredentialView:
    """One credential."""
    row = await _row(caller, credential)
    uses = await caller.reader.nats_credentials.last_uses([row.public_key])
    facts = _facts(row, uses.get(row.public_key))
    return SignedNatsCredentialView(**facts, token=row.token)


async def rotate_nats_credential(
    body: Rotation,
    credential: CredentialInPath,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> MadeNatsCredential:
    """Replace a credential by one with another key, of the same name and sources."""
    await _row(caller, credential)
    made = new_user_key()
    successor = new_id("nat", caller, key)
    action = Rotate(
        successor=successor,
        public_key=made.public,
        overlap_s=body.overlap_s,
        life_s=body.expires_in_s,
    )
    receipt = await _manage(services, caller, credential, action, key)
    return await _shown_once(caller, successor, made, receipt, response)


async def revoke_nats_credential(
    credential: CredentialInPath,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> NatsCredentialRevoked:
    """Have a credential refused, and cut off who uses it."""
    await _row(caller, credential)
    receipt = await _manage(services, caller, credential, Revoke(), key)
    row = await _once(caller, credential, "revoked")
    if row is None:
        response.status_code = 202
    status: Literal["revoking", "revoked"] = "revoking" if row is None else "revoked"
    return NatsCredentialRevoked(credential=credential, status=status, receipt=receipt)


async def _manage(
    services: RestServices,
    caller: Caller,
    credential: str,
    action: CredentialAction,
    key: str | None,
) -> ReceiptView:
    command = ManageNatsCredential(**by(caller, key), credential=credential, action=action)
    return receipt_view(await send(services, caller, TENANT_ROOM, command))


async def _shown_once(
    caller: Caller, credential: str, made: UserKey, receipt: ReceiptView, response: Response
) -> MadeNatsCredential:
    row = await _once(caller, credential, "active")
    token = row.token if row is not None else None
    response.status_code = 202 if token is None else 201
    response.headers["Location"] = f"/api/v1/integrations/nats-credentials/{credential}"
    return MadeNatsCredential(
        credential=credential,
        seed=made.seed,
        creds=None if token is None else credentials_text(token, made.seed),
        receipt=receipt,
    )


async def _once(caller: Caller, credential: str, status: str) -> NatsCredentialRow | None:
    """The credential once it has a status; None if that takes longer than somebody should wait."""
    until = time.monotonic() + READY_WAIT_S
    while time.monotonic() < until:
        row = await caller.reader.nats_credentials.one(credential)
        if row is not None and row.status == status:
            return row
        await asyncio.sleep(READY_POLL_S)
    return None


async def _row(caller: Caller, credential: str) -> NatsCredentialRow:
    row = await caller.reader.nats_credentials.one(credential)
    if row is None:
        raise Refusal(ErrorCode.NOT_FOUND, "there is no such credential")
    return row


def _facts(row: NatsCredentialRow, last_used_ms: int | None) -> dict[str, Any]:
    over = row.expires_ms is not None and row.expires_ms <= time.time_ns() // 1_000_000
    return {
        "id": row.credential,
        "name": row.name,
        "status": "expired" if over and row.status in ("pending", "active") else row.status,
        "sources": list(row.sources),
        "publish": list(publish_subjects(row.sources)),
        "public_key": row.public_key,
        "created_at": rfc3339(row.created_ms),
        "created_by": row.created_by,
        "expires_at": _at(row.expires_ms),
        "replaces": row.replaces,
        "replaced_by": row.replaced_by,
        "ends_at": _at(row.until_ms),
        "revoked_at": _at(row.revoked_ms),
        "revoked_by": row.revoked_by,
        "last_used_at": _at(last_used_ms),
    }


def _at(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(
        prefix="/integrations/nats-credentials", tags=["integrations"], route_class=StrictRoute
    )
    later: dict[int | str, dict[str, Any]] = {202: {"model": MadeNatsCredential}}
    routes.get("")(list_nats_credentials)
    routes.post("", status_code=201, responses=later)(create_nats_credential)
    routes.get("/{credential}")(get_nats_credential)
    routes.post("/{credential}/rotate", status_code=201, responses=later)(rotate_nats_credential)
    routes.delete("/{credential}", responses={202: {"model": NatsCredentialRevoked}})(
        revoke_nats_credential
    )
    return routes
