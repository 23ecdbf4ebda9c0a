"""What can be asked of an actor. One command makes at most one record, so that a commit that was
cut in the middle is continued, never repeated."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StringConstraints,
    TypeAdapter,
)

from actors.protocol.command import (
    Command,
    Digest,
    MaybeRole,
    Name,
    Origin,
    Reason,
    TimeMs,
    if_given,
)
from actors.protocol.ids import RoomId, SessionId, TenantId, UserId
from actors.protocol.limits import (
    ADDRESS_CHARS_MAX,
    DIRECTORY_KEY_CHARS_MAX,
    EVIDENCE_DETAILS_MAX,
    FAILED_SIGN_INS_MAX,
    NAME_CHARS_MAX,
    PROVIDER_KEY_CHARS_MAX,
    SEALED_CHARS_MAX,
)
from actors.protocol.markings import Clearance
from actors.protocol.nats_credentials import CredentialAction, CredentialId
from actors.protocol.people_commands import PeopleCommand
from actors.protocol.roles import Role
from actors.protocol.room_commands import (
    CloseRoom,
    CreateRoom,
    IncidentLink,
    MarkRoom,
    Post,
    PutMember,
    RecordFinding,
    RemoveMember,
    RenameRoom,
    ReopenRoom,
    RoomCommand,
)
from actors.protocol.second_factor_commands import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    Proof,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ResetSecondFactor,
    Restricted,
    SecondFactorCommand,
    SecondFactorProof,
    SetSecondFactorPolicy,
)
from actors.protocol.tenancy import TenantAction

DirectoryKey = Annotated[str, StringConstraints(max_length=DIRECTORY_KEY_CHARS_MAX)]
ProviderKey = Annotated[str, StringConstraints(max_length=PROVIDER_KEY_CHARS_MAX)]


class CreateUser(Command):
    """Make a user; `password_hash` is an argon2id string, never the password.

    `directory_key` is who he is in the tenant's directory, `provider_key` who he is at its identity
    provider (issuer#subject); he has no password here then. Both empty: local.
    With a `custom_role`, `user_role` must be viewer: what is left should the other mean nothing.
    """

    type: Literal["create_user"] = "create_user"
    user: UserId
    username: Name
    email: Name | None = None
    display_name: Name
    user_role: Role
    custom_role: MaybeRole = None
    password_hash: str = Field(repr=False)
    directory_key: DirectoryKey = Field(default="", exclude_if=lambda value: not value)
    provider_key: ProviderKey = Field(default="", exclude_if=lambda value: not value)


class UpdateUser(Command):
    """Change a user. What is None stays as it is; an empty e-mail takes the present one away. A
    `custom_role` takes the place of any other role, and so does a `user_role`."""

    type: Literal["update_user"] = "update_user"
    user: UserId
    display_name: Name | None = None
    email: Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX)] | None = None
    user_role: Role | None = None
    custom_role: MaybeRole = None
    user_clearance: Clearance | None = if_given()


class DisableUser(Command):
    """Keep a user out until he is enabled again."""

    type: Literal["disable_user"] = "disable_user"
    user: UserId
    reason: Reason = ""


class EnableUser(Command):
    """Let a disabled user in again."""

    type: Literal["enable_user"] = "enable_user"
    user: UserId


class DeleteUser(Command):
    """Take a user away for good: he stays in the chain, and his names become free."""

    type: Literal["delete_user"] = "delete_user"
    user: UserId
    reason: Reason = ""


class SetPassword(Command):
    """Give a user another password, as an argon2id string.

    `keep` is the session in which somebody changes his own; without it an administrator sets it.
    """

    type: Literal["set_password"] = "set_password"
    user: UserId
    password_hash: str = Field(repr=False)
    keep: SessionId | None = None


class EndSessions(Command):
    """Sign a user out everywhere."""

    type: Literal["end_sessions"] = "end_sessions"
    user: UserId


class OpenSession(Command):
    """Record a sign-in. `refresh` is the SHA-256 of the refresh token; times are Unix milliseconds."""

    type: Literal["open_session"] = "open_session"
    session: SessionId
    user: UserId
    refresh: Digest = Field(repr=False)
    expires_ms: TimeMs
    address: str = ""
    proof: Proof = None
    restricted: Restricted = False
    custom_role: MaybeRole = None


class RefreshSession(Command):
    """Exchange one refresh token for the next; a token that was used before ends the session."""

    type: Literal["refresh_session"] = "refresh_session"
    session: SessionId
    presented: Digest = Field(repr=False)
    refresh: Digest = Field(repr=False)
    expires_ms: TimeMs
    restricted: Restricted = False


class EndSession(Command):
    """Sign out. With `user`, whose session it must be, also by somebody else."""

    type: Literal["end_session"] = "end_session"
    session: SessionId
    user: UserId | None = Field(default=None, exclude_if=lambda value: value is None)


class RecordFailedSignIns(Command):
    """Say that somebody tried to sign in as a user in vain, `count` times since it was last said.

    `address` and `reason` are those of the last time. `user` is empty if nobody here was meant.
    """

    type: Literal["record_failed_sign_ins"] = "record_failed_sign_ins"
    user: UserId | Literal[""]
    address: Annotated[str, StringConstraints(max_length=ADDRESS_CHARS_MAX)] = ""
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
    count: Annotated[int, Field(ge=1, le=FAILED_SIGN_INS_MAX)]


class RehashPassword(Command):
    """Keep the same password under a hash of another cost; `replaces` is the SHA-256 of the old one."""

    type: Literal["rehash_password"] = "rehash_password"
    user: UserId
    replaces: Digest = Field(repr=False)
    password_hash: str = Field(repr=False)


class PutDirectory(Command):
    """Have people sign in with the tenant's directory; all of its settings, whatever was there before.

    `settings` hold no secret. `secret` is the searching account's password, sealed with the tenant's key
    before it comes here; empty for an anonymous search.
    """

    type: Literal["put_directory"] = "put_directory"
    settings: dict[str, Any]
    secret: Annotated[str, StringConstraints(max_length=SEALED_CHARS_MAX)] = Field(repr=False)


class RemoveDirectory(Command):
    """Have nobody sign in with a directory any more."""

    type: Literal["remove_directory"] = "remove_directory"


class PutIdentityProvider(Command):
    """Have people sign in at the tenant's identity provider; all of its settings.

    `settings` hold no secret. `secret` is the client's, sealed with the tenant's key before it comes here;
    empty for a public client.
    """

    type: Literal["put_identity_provider"] = "put_identity_provider"
    settings: dict[str, Any]
    secret: Annotated[str, StringConstraints(max_length=SEALED_CHARS_MAX)] = Field(repr=False)


class RemoveIdentityProvider(Command):
    """Have nobody sign in at an identity provider any more."""

    type: Literal["remove_identity_provider"] = "remove_identity_provider"


class SynchroniseUser(Command):
    """Say what the directory, or the identity provider, says of one of its users now.

    `present` is whether he may sign in at all; without it, `reason` says why not and the rest does not
    matter. An e-mail that is None is none.
    """

    type: Literal["synchronise_user"] = "synchronise_user"
    user: UserId
    present: bool
    reason: Reason = ""
    user_role: Role | None = None
    display_name: Name | None = None
    email: Name | None = None


class RecordEvidenceRead(Command):
    """Say that somebody read evidence. `details` is how: the format and filters of an export."""

    type: Literal["record_evidence_read"] = "record_evidence_read"
    operation: Literal["read", "verify", "export"]
    object_type: Literal["room", "audit_log", "room_list", "user_list"]
    object_id: UserId
    details: dict[Name, Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX)]] = Field(
        default_factory=dict, max_length=EVIDENCE_DETAILS_MAX
    )


class ManageTenant(Command):
    """Ask the platform's actor for something about a tenant."""

    type: Literal["manage_tenant"] = "manage_tenant"
    tenant: TenantId
    action: TenantAction


class GrantTenant(Command):
    """Let a user of the platform tenant read another tenant as somebody of this role would; None: no
    longer."""

    type: Literal["grant_tenant"] = "grant_tenant"
    user: UserId
    tenant: TenantId
    granted: Literal[Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER] | None


class LockTenant(Command):
    """Let nobody sign in any more, or everybody again."""

    type: Literal["lock_tenant"] = "lock_tenant"
    locked: bool
    reason: Reason = ""


class ManageNatsCredential(Command):
    """Ask the tenant's actor for something about the credential of an external system."""

    type: Literal["manage_nats_credential"] = "manage_nats_credential"
    credential: CredentialId
    action: CredentialAction


TenantCommand = Annotated[
    CreateUser
    | UpdateUser
    | DisableUser
    | EnableUser
    | DeleteUser
    | SetPassword
    | EndSessions
    | OpenSession
    | RefreshSession
    | EndSession
    | RecordFailedSignIns
    | RehashPassword
    | PutDirectory
    | RemoveDirectory
    | SynchroniseUser
    | PutIdentityProvider
    | RemoveIdentityProvider
    | RecordEvidenceRead
    | SecondFactorCommand
    | PeopleCommand
    | ManageTenant
    | GrantTenant
    | LockTenant
    | ManageNatsCredential,
    Field(discriminator="type"),
]

ROOM_COMMAND: TypeAdapter[RoomCommand] = TypeAdapter(RoomCommand)
TENANT_COMMAND: TypeAdapter[TenantCommand] = TypeAdapter(TenantCommand)

__all__ = [
    "ROOM_COMMAND",
    "TENANT_COMMAND",
    "BeginSecondFactor",
    "CloseRoom",
    "Command",
    "ConfirmSecondFactor",
    "CreateRoom",
    "CreateUser",
    "DeleteUser",
    "DisableUser",
    "EnableUser",
    "EndSession",
    "EndSessions",
    "GrantTenant",
    "IncidentLink",
    "LockTenant",
    "ManageNatsCredential",
    "ManageTenant",
    "MarkRoom",
    "OpenSession",
    "Origin",
    "Post",
    "PutDirectory",
    "PutIdentityProvider",
    "PutMember",
    "RecordEvidenceRead",
    "RecordFailedSignIns",
    "RecordFinding",
    "RefreshSession",
    "RehashPassword",
    "RemoveDirectory",
    "RemoveIdentityProvider",
    "RemoveMember",
    "RemoveSecondFactor",
    "RenameRoom",
    "ReopenRoom",
    "ReplaceRecoveryCodes",
    "ResetSecondFactor",
    "RoomCommand",
    "RoomId",
    "SecondFactorProof",
    "SetPassword",
    "SetSecondFactorPolicy",
    "SynchroniseUser",
    "TenantCommand",
    "UpdateUser",
]
