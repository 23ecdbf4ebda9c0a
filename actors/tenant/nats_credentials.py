"""The credentials of a tenant's external systems, as its actor decides about them.

The chain says which keys shall be let in; the provisioner makes it so and comes back: with the token that
it has signed, or with the word that a revoked key is refused by the servers.
"""

from dataclasses import replace
from typing import Final, assert_never

from actors.protocol.commands import ManageNatsCredential
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.limits import NATS_CREDENTIALS_LIVING_MAX, NATS_CREDENTIALS_MAX
from actors.protocol.nats_credential_events import (
    NatsCredentialAdopted,
    NatsCredentialCut,
    NatsCredentialEvent,
    NatsCredentialMade,
    NatsCredentialRevoked,
    NatsCredentialRotated,
    NatsCredentialSigned,
)
from actors.protocol.nats_credentials import (
    AdoptKey,
    ConfirmCut,
    Make,
    NatsCredential,
    Retire,
    Revoke,
    Rotate,
    Sign,
)
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.tenant.rights import may
from actors.tenant.state import TenantState
from actors.tenant.users import unfit_text

SECOND_MS: Final = 1_000
REPLACED: Final = "replaced"


def decide(
    state: TenantState, command: ManageNatsCredential, now_ms: int
) -> NatsCredentialEvent | Rejection:
    """What a command makes of the credentials."""
    if not may(state, command, Permission.INTEGRATIONS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "this is for who may change integrations")
    action = command.action
    if isinstance(action, Make | AdoptKey):
        return _born(state, command, action, now_ms)
    held = state.nats_credentials.get(command.credential)
    if held is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such credential")
    match action:
        case Rotate():
            return _rotate(state, command, action, now_ms)
        case Revoke():
            if held.status in ("pending", "active"):
                return NatsCredentialRevoked(credential=command.credential, reason=action.reason)
            return Rejection(ErrorCode.CONFLICT, "the credential is revoked already")
        case Sign() | Retire() | ConfirmCut():
            return _done(command, action, held, now_ms)
        case _:
            assert_never(action)


def _born(
    state: TenantState, command: ManageNatsCredential, action: Make | AdoptKey, now_ms: int
) -> NatsCredentialEvent | Rejection:
    refused = _refused_key(state, command.credential, action.public_key, now_ms)
    if refused is not None:
        return refused
    if isinstance(action, AdoptKey):
        if command.role is not Role.SYSTEM:
            return Rejection(ErrorCode.FORBIDDEN, "only the provisioner finds credentials")
        return NatsCredentialAdopted(
            credential=command.credential, name=action.name, public_key=action.public_key
        )
    return unfit_text(action.name) or NatsCredentialMade(
        credential=command.credential,
        name=action.name,
        public_key=action.public_key,
        sources=tuple(sorted(set(action.sources))),
        expires_ms=_end(now_ms, action.life_s),
    )


def _refused_key(
    state: TenantState, credential: str, public_key: str, now_ms: int
) -> Rejection | None:
    held = state.nats_credentials
    if credential in held or any(each.public_key == public_key for each in held.values()):
        # A key that was revoked would stay so.
        return Rejection(ErrorCode.CONFLICT, "the credential exists already")
    if sum(each.lives(now_ms) for each in held.values()) >= NATS_CREDENTIALS_LIVING_MAX:
        detail = f"{NATS_CREDENTIALS_LIVING_MAX} credentials are in use; revoke one first"
        return Rejection(ErrorCode.TOO_MANY, detail)
    if sum(_counts(each, now_ms) for each in held.values()) >= NATS_CREDENTIALS_MAX:
        detail = (
            f"{NATS_CREDENTIALS_MAX} credentials without an end were made, and servers have to know "
            "for ever that they are revoked; ask whoever runs the platform"
        )
        return Rejection(ErrorCode.TOO_MANY, detail)
    return None


def _rotate(
    state: TenantState, command: ManageNatsCredential, action: Rotate, now_ms: int
) -> NatsCredentialEvent | Rejection:
    held = state.nats_credentials[command.credential]
    if not held.lives(now_ms) or held.replaced_by is not None:
        detail = "the credential is revoked, over or replaced already; make another one"
        return Rejection(ErrorCode.CONFLICT, detail)
    refused = _refused_key(state, action.successor, action.public_key, now_ms)
    if refused is not None:
        return refused
    expires_ms = _end(now_ms, action.life_s)
    if expires_ms is None and held.expires_ms is not None:
        expires_ms = now_ms + held.expires_ms - held.created_ms
    return NatsCredentialRotated(
        credential=command.credential,
        successor=action.successor,
        public_key=action.public_key,
        until_ms=now_ms + action.overlap_s * SECOND_MS,
        expires_ms=expires_ms,
    )


def _done(
    command: ManageNatsCredential,
    action: Sign | Retire | ConfirmCut,
    held: NatsCredential,
    now_ms: int,
) -> NatsCredentialEvent | Rejection:
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the provisioner says what is done")
    match action:
        case Sign() if held.status == "pending":
            return NatsCredentialSigned(credential=command.credential, token=action.token)
        case Retire() if held.status in ("pending", "active") and _is_due(held, now_ms):
            return NatsCredentialRevoked(credential=command.credential, reason=REPLACED)
        case ConfirmCut() if held.status == "revoking":
            return NatsCredentialCut(credential=command.credential)
        case _:
            return Rejection(ErrorCode.CONFLICT, f"the credential is {held.status}")


def evolve(state: TenantState, event: NatsCredentialEvent, actor: str, at_ms: int) -> TenantState:
    """The tenant after an event."""
    kept = state.nats_credentials
    match event:
        case NatsCredentialMade() | NatsCredentialAdopted():
            # What servers need not know of any more is forgotten where something new is learned.
            kept = {name: each for name, each in kept.items() if _counts(each, at_ms)}
            kept = {**kept, event.credential: _newborn(event, actor, at_ms)}
        case NatsCredentialRotated():
            held = kept[event.credential]
            change = {"replaced_by": event.successor, "until_ms": event.until_ms}
            successor = NatsCredential(
                name=held.name,
                public_key=event.public_key,
                sources=held.sources,
                status="pending",
                created_ms=at_ms,
                created_by=actor,
                expires_ms=event.expires_ms,
                replaces=event.credential,
            )
            kept = {
                **{name: each for name, each in kept.items() if _counts(each, at_ms)},
                event.credential: held.model_copy(update=change),
                event.successor: successor,
            }
        case NatsCredentialSigned():
            kept = _with(kept, event.credential, status="active", token=event.token)
        case NatsCredentialRevoked():
            facts = {"revoked_ms": at_ms, "revoked_by": actor, "token": None}
            kept = _with(kept, event.credential, status="revoking", **facts)
        case NatsCredentialCut():
            kept = _with(kept, event.credential, status="revoked")
        case _:
            assert_never(event)
    return replace(state, nats_credentials=kept)


def _newborn(
    event: NatsCredentialMade | NatsCredentialAdopted, actor: str, at_ms: int
) -> NatsCredential:
    made = isinstance(event, NatsCredentialMade)
    return NatsCredential(
        name=event.name,
        public_key=event.public_key,
        sources=event.sources if isinstance(event, NatsCredentialMade) else (),
        status="pending" if made else "active",
        created_ms=at_ms,
        created_by=actor,
        expires_ms=event.expires_ms if isinstance(event, NatsCredentialMade) else None,
    )


def _with(
    held: dict[str, NatsCredential], name: str, **change: object
) -> dict[str, NatsCredential]:
    return {**held, name: held[name].model_copy(update=change)}


def _end(now_ms: int, life_s: int | None) -> int | None:
    return None if life_s is None else now_ms + life_s * SECOND_MS


def _is_due(held: NatsCredential, now_ms: int) -> bool:
    return held.until_ms is not None and held.until_ms <= now_ms


def _counts(held: NatsCredential, now_ms: int) -> bool:
    """Whether it has to be remembered: a revoked one whose time is over is refused for that alone."""
    return held.status != "revoked" or held.expires_ms is None or held.expires_ms > now_ms
