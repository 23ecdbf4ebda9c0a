"""What somebody typed to sign in: which attributes it may be found in, and whether to ask at all."""

import unicodedata
from typing import Final

from gateway.directory import dn
from gateway.directory.settings import DirectorySettings, Flavour
from gateway.limits import PASSWORD_CHARS_MAX

NAME_CHARS_MAX: Final = 256
"""Characters of a name; an e-mail address has 254 at most (RFC 5321)."""
CONTROL: Final = frozenset({"Cc", "Cs"})
"""Unicode categories that no name has: controls, NUL among them, and halves of surrogates."""

Term = tuple[str, str]
"""An attribute and the value that it must have, not yet escaped."""
Alternative = tuple[Term, ...]
"""Terms that must all hold."""


def password_may_be_asked(password: object) -> bool:
    """Whether a password is one at all.

    An empty one must never reach a server: a simple bind with a name and without a password is an
    anonymous one and succeeds (RFC 4513, section 5.1.2). NUL ends the string for some servers.
    """
    return (
        isinstance(password, str)
        and bool(password.strip())
        and len(password) <= PASSWORD_CHARS_MAX
        and "\0" not in password
        and not any(unicodedata.category(letter) == "Cs" for letter in password)
    )


def alternatives(name: object, settings: DirectorySettings) -> tuple[Alternative, ...]:
    """The ways in which a name may be meant; none if it can't be one.

    A user name; an e-mail address; in Active Directory also the user principal name, be it written
    in the entry or implied by the domain, and DOMAIN\\name.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARS_MAX:
        return ()
    if any(unicodedata.category(letter) in CONTROL for letter in name):
        return ()
    active_directory = settings.flavour is Flavour.ACTIVE_DIRECTORY
    if active_directory and "\\" in name:
        domain, _, account = name.partition("\\")
        ours = bool(domain) and domain.casefold() == settings.netbios_domain.casefold()
        return (((settings.names.username, account),),) if ours and account.strip() else ()
    if "@" not in name:
        return (((settings.names.username, name),),)
    found: list[Alternative] = [((settings.names.email, name),)]
    if active_directory:
        found.append((("userPrincipalName", name),))
        account, _, domain = name.rpartition("@")
        if account.strip() and domain.casefold() == dn.domain_of(settings.base_dn):
            found.append(((settings.names.username, account),))
    else:
        found.append(((settings.names.username, name),))
    return tuple(found)
