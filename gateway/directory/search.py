"""What is asked of a directory: users by name and key, their groups, all users by pages."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.directory import entries
from gateway.directory.dn import Dn
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.groups import (
    GROUPS_MAX,
    GROUPS_OF_ONE_MAX,
    NESTING_MAX,
    GroupGraph,
    group_of,
    parsed,
    too_many_groups,
)
from gateway.directory.ldap import Entry, LdapConnection, equals
from gateway.directory.names import Alternative
from gateway.directory.people import DirectoryUser, Group, Page
from gateway.directory.settings import DirectorySettings, Flavour

IN_CHAIN: Final = "1.2.840.113556.1.4.1941"
"""LDAP_MATCHING_RULE_IN_CHAIN, [MS-ADTS] 3.1.1.3.4.4.3: the server follows nested groups itself."""
NO_ATTRIBUTES: Final = ("1.1",)
"""RFC 4511, section 4.5.1.8: only the names of entries."""
FILTER_TERMS_MAX: Final = 50
"""Terms of one filter; servers limit the length of a filter."""
MEMBER_UID: Final = "memberuid"
USERS_MAX: Final = 500_000
"""Users that are read in one go; it stops a server that makes them up."""


class Search:
    """Questions to one open connection, which acts as the searching account."""

    def __init__(self, connection: LdapConnection, settings: DirectorySettings) -> None:
        self._ldap = connection
        self._settings = settings
        self._in_ad = settings.flavour is Flavour.ACTIVE_DIRECTORY
        self._attributes = entries.attributes_of(settings)

    def named(self, alternatives: Sequence[Alternative]) -> list[Entry]:
        """The users that a typed name may mean; two at most, which is one too many."""
        meant = "".join(_all_of(alternative) for alternative in alternatives)
        return self._users(f"(|{meant})")

    def keyed(self, key: str) -> list[Entry]:
        """The users of a key; two at most.

        Raises:
            ValueError: it is no key.
        """
        value = entries.key_value(key, self._settings)
        return self._users(equals(self._settings.names.key, value))

    def user(self, entry: Entry) -> DirectoryUser:
        """The user of an entry, with all groups.

        Raises:
            DirectoryError: the entry lacks what makes a user, or a question failed.
        """
        found = entries.user_of(entry.raw, self.groups_of(entry), self._settings, time.time())
        if found is None:
            names = self._settings.names
            raise DirectoryError(
                Trouble.NOT_AS_SET,
                f"an entry that the user filter finds has no usable {names.key} or {names.username}",
            )
        return found

    def groups_of(self, entry: Entry) -> tuple[Group, ...]:
        """The groups below the group base that somebody is in, nested ones too."""
        return self._groups_in_ad(entry) if self._in_ad else self._groups_by_level(entry)

    def pages(self) -> Iterator[Page]:
        """All users, a page at a time. The groups are read once, before the first page."""
        graph = self._graph()
        count = 0
        for found in self._ldap.pages(
            self._settings.base_dn, self._settings.user_filter, self._attributes
        ):
            count += len(found)
            if count > USERS_MAX:
                raise DirectoryError(Trouble.TOO_LARGE, f"there are more than {USERS_MAX} users")
            now_s = time.time()
            users = [
                entries.user_of(one.raw, self._groups_by(graph, one), self._settings, now_s)
                for one in found
            ]
            known = tuple(user for user in users if user is not None)
            yield Page(known, len(users) - len(known))

    def _users(self, what: str) -> list[Entry]:
        return self._ldap.find(
            self._settings.base_dn, f"(&{self._settings.user_filter}{what})", self._attributes, 2
        )

    def _groups_in_ad(self, entry: Entry) -> tuple[Group, ...]:
        # AD leaves the primary group out of every membership, and what that group is in with it.
        meant = [equals(f"member:{IN_CHAIN}:", entry.dn)]
        if (sid := entries.primary_group_sid(entry.raw)) is not None:
            meant.append(equals("objectSid", sid))
            for primary in self._ldap.find(
                self._settings.base_dn, equals("objectSid", sid), NO_ATTRIBUTES, 1
            ):
                meant.append(equals(f"member:{IN_CHAIN}:", primary.dn))
        return tuple(group_of(one.dn) for one in self._groups(f"(|{''.join(meant)})"))

    def _groups_by_level(self, entry: Entry) -> tuple[Group, ...]:
        attribute = self._settings.names.member
        by_name = attribute.lower() == MEMBER_UID
        username = entries.text_of(entry.raw, self._settings.names.username)
        found: dict[str, Group] = {}
        frontier = [username if by_name else entry.dn]
        for _ in range(1 if by_name else NESTING_MAX):
            above = [
                one.dn
                for start in range(0, len(frontier), FILTER_TERMS_MAX)
                for one in self._groups(_any_of(attribute, frontier[start:][:FILTER_TERMS_MAX]))
            ]
            frontier = [name for name in dict.fromkeys(above) if name not in found]
            found |= {name: group_of(name) for name in frontier}
            if len(found) > GROUPS_OF_ONE_MAX:
                raise too_many_groups()
            if not frontier:
                break
        return tuple(found.values())

    def _groups(self, what: str) -> list[Entry]:
        found: list[Entry] = []
        for page in self._ldap.pages(
            self._settings.groups_under, f"(&{self._settings.group_filter}{what})", NO_ATTRIBUTES
        ):
            found += page
            if len(found) > GROUPS_OF_ONE_MAX:
                raise too_many_groups()
        return found

    def _graph(self) -> GroupGraph:
        graph = GroupGraph()
        settings = self._settings
        member = NO_ATTRIBUTES if self._in_ad else (settings.names.member,)
        for one in self._all_groups(settings.groups_under, settings.group_filter, member):
            for name in parsed([one.dn]):
                graph.counting[name] = group_of(one.dn)
                for below in self._members(one):
                    graph.add_member(below, name)
        if self._in_ad:
            # A chain may lead through groups that are outside of the group base.
            for one in self._all_groups(
                settings.base_dn, "(objectClass=group)", ("memberOf", "objectSid")
            ):
                for name in parsed([one.dn]):
                    for above in parsed(entries.texts_of(one.raw, "memberOf")):
                        graph.add_member(name, above)
                    for sid in one.raw.get("objectsid", ()):
                        graph.add_member(_by_sid(sid), name)
        return graph

    def _all_groups(self, base: str, what: str, attributes: Sequence[str]) -> Iterator[Entry]:
        count = 0
        for page in self._ldap.pages(base, what, attributes):
            count += len(page)
            if count > GROUPS_MAX:
                raise too_many_groups()
            yield from page

    def _members(self, group: Entry) -> list[Dn]:
        attribute = self._settings.names.member
        names = entries.texts_of(group.raw, attribute)
        return (
            [_by_name(one) for one in names] if attribute.lower() == MEMBER_UID else parsed(names)
        )

    def _groups_by(self, graph: GroupGraph, entry: Entry) -> tuple[Group, ...]:
        if not self._in_ad:
            username = entries.text_of(entry.raw, self._settings.names.username)
            return graph.above([*parsed([entry.dn]), _by_name(username)])
        if any(name.startswith("memberof;range=") for name in entry.raw):
            # More values than AD gives at once: rare enough to ask about one by one.
            return self.groups_of(entry)
        sid = entries.primary_group_sid(entry.raw)
        primary = [] if sid is None else [_by_sid(sid)]
        return graph.above([*parsed(entries.texts_of(entry.raw, "memberOf")), *primary])


def _all_of(alternative: Alternative) -> str:
    return f"(&{''.join(equals(attribute, value) for attribute, value in alternative)})"


def _any_of(attribute: str, values: Sequence[str]) -> str:
    return f"(|{''.join(equals(attribute, value) for value in values)})"


def _by_name(username: str) -> Dn:
    return (((MEMBER_UID, username),),)


def _by_sid(sid: bytes) -> Dn:
    return ((("objectsid", sid.hex()),),)
