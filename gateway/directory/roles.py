"""Which role the groups of a directory give."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

from actors.protocol.roles import Role
from gateway.directory import dn
from gateway.directory.people import Group

RANK: Final = (Role.VIEWER, Role.ANALYST, Role.TENANT_ADMIN)
"""Roles that a directory may give, the highest last; people only, so no system."""


class RoleRule(BaseModel):
    """Members of `group` have `role`.

    A group is its DN, or its bare name. A name is shorter, but whoever may make groups anywhere below
    the group base can make one of that name: use DNs where that is not the directory's own staff.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024)]
    role: Role

    def fits(self, group: Group) -> bool:
        """Whether it is about this group."""
        if "=" not in self.group:
            return self.group.casefold() == group.name.casefold()
        try:
            return dn.parse(self.group) == dn.parse(group.dn)
        except ValueError:
            return False


def role_of(groups: Iterable[Group], rules: Sequence[RoleRule]) -> Role | None:
    """The highest role that any of the groups gives; None if none gives one."""
    given = {rule.role for group in groups for rule in rules if rule.fits(group)}
    return max(given.intersection(RANK), key=RANK.index, default=None)
