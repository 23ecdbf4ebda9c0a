"""Groups within groups, as a graph: what a member of one belongs to in the end."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.directory import dn
from gateway.directory.dn import Dn
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.people import Group

NESTING_MAX: Final = 16
"""Levels of groups in groups that are followed; directories that people understand have three."""
GROUPS_OF_ONE_MAX: Final = 2_000
"""Groups of one user; Windows itself gives up at 1,015."""
GROUPS_MAX: Final = 100_000
"""Groups of a directory that are read at once, for all its users."""


@dataclass
class GroupGraph:
    """All groups of a directory: which count, and which are members of which."""

    counting: dict[Dn, Group] = field(default_factory=dict)
    parents: dict[Dn, set[Dn]] = field(default_factory=dict)

    def add_member(self, member: Dn, group: Dn) -> None:
        """`member`, a user or a group, is in `group`."""
        self.parents.setdefault(member, set()).add(group)

    def above(self, members: Iterable[Dn]) -> tuple[Group, ...]:
        """The groups that count among `members` and all that they are in, in whatever rounds.

        Raises:
            DirectoryError: they are too many.
        """
        seen: set[Dn] = set(members)
        frontier = seen
        for _ in range(NESTING_MAX):
            frontier = {up for one in frontier for up in self.parents.get(one, ())} - seen
            if not frontier:
                break
            seen |= frontier
            if len(seen) > GROUPS_OF_ONE_MAX:
                raise too_many_groups()
        return tuple(self.counting[one] for one in sorted(seen) if one in self.counting)


def too_many_groups() -> DirectoryError:
    """What is raised when groups are beyond their bound: half of somebody's groups is no answer."""
    return DirectoryError(Trouble.TOO_LARGE, "there are more groups than can be considered")


def group_of(name: str) -> Group:
    """A group by its DN."""
    return Group(name, dn.first_value(name))


def parsed(names: Iterable[str]) -> list[Dn]:
    """Those of some texts that are DNs."""
    found = []
    for name in names:
        try:
            found.append(dn.parse(name))
        except ValueError:
            continue
    return found
