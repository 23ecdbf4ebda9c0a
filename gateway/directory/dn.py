"""Distinguished names: which are the same, and which lies under which (RFC 4514).

Servers spell one name in several ways: `CN=Ana, OU=SOC`, `cn=ana,ou=soc`, `cn=\\61na,ou=soc`.
"""

import re
from typing import Final

_ESCAPED: Final = re.compile(rb"\\(?:([0-9a-fA-F]{2})|(.))", re.DOTALL)

Dn = tuple[tuple[tuple[str, str], ...], ...]
"""A name taken apart: parts from the leaf to the root, each one or more (attribute, value)."""


def parse(text: str) -> Dn:
    """A DN in the form in which equal names are equal.

    Values are compared without case and with runs of spaces as one, as directoryString matching does.

    Raises:
        ValueError: it is no DN.
    """
    return tuple(
        tuple(sorted(_pair(pair) for pair in _split(part, "+"))) for part in _split(text, ",")
    )


def first_value(text: str) -> str:
    """The value of the first part, as people read it; empty if it is no DN."""
    try:
        return _value(_split(_split(text, ",")[0], "+")[0])
    except ValueError:
        return ""


def is_under(dn: Dn, base: Dn) -> bool:
    """Whether a name is the base or somewhere below it."""
    return len(dn) >= len(base) and dn[len(dn) - len(base) :] == base


def domain_of(text: str) -> str:
    """The DNS name that a DN of domain components spells; `dc=corp,dc=test` is `corp.test`."""
    return ".".join(value for part in parse(text) for name, value in part if name == "dc")


def _split(text: str, separator: str) -> list[str]:
    parts, start, place = [], 0, 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == separator:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [*parts, text[start:]]


def _pair(text: str) -> tuple[str, str]:
    name = text.partition("=")[0].strip().lower()
    if not name:
        raise ValueError("a part of a DN is an attribute, = and a value")
    return name, " ".join(_value(text).casefold().split())


def _value(text: str) -> str:
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise ValueError("a part of a DN is an attribute, = and a value")
    value = value.lstrip(" ")
    while value.endswith(" ") and not value.endswith("\\ "):
        value = value[:-1]
    return _ESCAPED.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], value.encode()
    ).decode()
