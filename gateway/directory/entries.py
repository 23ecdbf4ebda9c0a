"""Entries of a directory, read: keys, names, addresses. What a server sends is bounded and may be bytes."""

import struct
import unicodedata
import uuid
from collections.abc import Sequence
from typing import Final

from gateway.directory import account
from gateway.directory.people import DirectoryUser, Group
from gateway.directory.settings import DirectorySettings, Flavour

VALUE_CHARS_MAX: Final = 256
"""Characters of a name or address that are kept."""
UUID_BYTES: Final = 16


def attributes_of(settings: DirectorySettings) -> tuple[str, ...]:
    """What to ask for of a user."""
    names = settings.names
    wanted = [names.key, names.username, names.email, names.display_name]
    wanted += account.ATTRIBUTES[settings.flavour]
    if settings.flavour is Flavour.ACTIVE_DIRECTORY:
        wanted += ["memberOf", "primaryGroupID", "objectSid"]
    return tuple(name for name in dict.fromkeys(wanted) if name)


def key_of(raw: account.Raw, attribute: str) -> str | None:
    """The key of an entry as text: a UUID, be it text (entryUUID) or 16 bytes (objectGUID); else None."""
    values = raw.get(attribute.lower(), ())
    if len(values) != 1:
        return None
    try:
        if len(values[0]) == UUID_BYTES:
            # Microsoft's order: the first three fields are little-endian ([MS-DTYP] 2.3.4.2).
            return str(uuid.UUID(bytes_le=bytes(values[0])))
        return str(uuid.UUID(values[0].decode("ascii")))
    except ValueError:
        return None


def key_value(key: str, settings: DirectorySettings) -> bytes | str:
    """A key as the directory compares it.

    Raises:
        ValueError: it is none.
    """
    read = uuid.UUID(key)
    return read.bytes_le if settings.flavour is Flavour.ACTIVE_DIRECTORY else str(read)


def user_of(
    raw: account.Raw, groups: Sequence[Group], settings: DirectorySettings, now_s: float
) -> DirectoryUser | None:
    """The user of an entry; None if it lacks a key or a user name."""
    names = settings.names
    key, username = key_of(raw, names.key), text_of(raw, names.username)
    if key is None or not username:
        return None
    email = text_of(raw, names.email)
    return DirectoryUser(
        key=key,
        username=username,
        email=email if "@" in email else "",
        display_name=text_of(raw, names.display_name) or username,
        groups=tuple(groups),
        state=account.state_of(raw, settings.flavour, now_s),
    )


def text_of(raw: account.Raw, attribute: str) -> str:
    """The first value of an attribute as text; empty if there is none, or it is not text."""
    for value in raw.get(attribute.lower(), ())[:1]:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return ""
        if any(unicodedata.category(letter) == "Cc" for letter in text):
            return ""
        return text[:VALUE_CHARS_MAX]
    return ""


def texts_of(raw: account.Raw, attribute: str) -> list[str]:
    """All values of an attribute that are text."""
    found = []
    for value in raw.get(attribute.lower(), ()):
        try:
            found.append(value.decode())
        except UnicodeDecodeError:
            continue
    return found


def primary_group_sid(raw: account.Raw) -> bytes | None:
    """The SID of an AD user's primary group, which no membership lists; None if it can't be told.

    It is the SID of the user's domain with the last number replaced ([MS-DTYP] 2.4.2.2, [MS-ADTS]).
    """
    sids, numbers = raw.get("objectsid", ()), raw.get("primarygroupid", ())
    if len(sids) != 1 or len(numbers) != 1 or not numbers[0].isdigit() or len(numbers[0]) > 9:
        return None
    sid = bytes(sids[0])
    if len(sid) < 12 or len(sid) != 8 + 4 * sid[1]:
        return None
    return sid[:-4] + struct.pack("<I", int(numbers[0]))
