"""What can be asked of a tenant about who belongs to it: roles of its own, registration, invitations."""

from typing import Annotated, Literal

from pydantic import Field, field_serializer

from actors.protocol.command import Command, Digest, MaybeRole, Name, TimeMs
from actors.protocol.ids import InvitationId, RoleId, UserId
from actors.protocol.permissions import Permission
from actors.protocol.roles import Registration, Role

InDirectory = Annotated[bool, Field(exclude_if=lambda value: not value)]
"""Left out where it says nothing: commands of before keep their fingerprints."""


class CreateRole(Command):
    """Make a role of the tenant's own."""

    type: Literal["create_role"] = "create_role"
    new_role: RoleId
    name: Name
    permissions: frozenset[Permission]

    @field_serializer("permissions")
    def _in_one_order(self, permissions: frozenset[Permission]) -> list[Permission]:
        # As for rooms: the fingerprint is made from this.
        return sorted(permissions)


class UpdateRole(Command):
    """Change what a role is called or permits. What is None stays as it is."""

    type: Literal["update_role"] = "update_role"
    changed_role: RoleId
    name: Name | None = None
    permissions: frozenset[Permission] | None = None

    @field_serializer("permissions")
    def _in_one_order(self, permissions: frozenset[Permission] | None) -> list[Permission] | None:
        return None if permissions is None else sorted(permissions)


class DeleteRole(Command):
    """Take a role away that nobody has."""

    type: Literal["delete_role"] = "delete_role"
    deleted_role: RoleId


class SetRegistration(Command):
    """Say whether people may register themselves, and whether somebody must approve them."""

    type: Literal["set_registration"] = "set_registration"
    mode: Registration


class RegisterUser(Command):
    """Make somebody who asked for it himself a user; by the gateway, in his name. `in_directory`: the
    tenant's directory knows somebody by one of his names."""

    type: Literal["register_user"] = "register_user"
    user: UserId
    username: Name
    email: Name | None = None
    display_name: Name
    password_hash: str = Field(repr=False)
    in_directory: InDirectory = False


class ApproveUser(Command):
    """Let somebody in who has registered himself."""

    type: Literal["approve_user"] = "approve_user"
    user: UserId


class InviteUser(Command):
    """Invite somebody. `digest` is the SHA-256 of the secret in his link."""

    type: Literal["invite_user"] = "invite_user"
    invitation: InvitationId
    email: Name
    user_role: Role
    custom_role: MaybeRole = None
    digest: Digest = Field(repr=False)
    expires_ms: TimeMs


class RevokeInvitation(Command):
    """Have an invitation be good for nothing."""

    type: Literal["revoke_invitation"] = "revoke_invitation"
    invitation: InvitationId


class AcceptInvitation(Command):
    """Become a user by an invitation; by the gateway, in the name of whoever shows its secret.
    `in_directory`: the tenant's directory knows somebody by the name that he wants."""

    type: Literal["accept_invitation"] = "accept_invitation"
    invitation: InvitationId
    presented: Digest = Field(repr=False)
    user: UserId
    username: Name
    display_name: Name
    password_hash: str = Field(repr=False)
    in_directory: InDirectory = False


PeopleCommand = Annotated[
    CreateRole
    | UpdateRole
    | DeleteRole
    | SetRegistration
    | RegisterUser
    | ApproveUser
    | InviteUser
    | RevokeInvitation
    | AcceptInvitation,
    Field(discriminator="type"),
]
