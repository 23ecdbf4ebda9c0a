"""What can go wrong with a directory. Whatever does, nobody is let in: the caller gets an exception."""

from enum import StrEnum
from typing import Final


class Trouble(StrEnum):
    """What is wrong, as a code for logs and for whoever tests the connection."""

    UNREACHABLE = "directory_unreachable"
    ADDRESS_REFUSED = "directory_address_refused"
    TIMEOUT = "directory_timeout"
    TLS_FAILED = "directory_tls_failed"
    BIND_REFUSED = "directory_bind_refused"
    NOT_AS_SET = "directory_not_as_set"
    BAD_ANSWER = "directory_bad_answer"
    TOO_LARGE = "directory_too_large"
    BUSY = "directory_busy"


TODO: Final[dict[Trouble, str]] = {
    Trouble.UNREACHABLE: "Check the address, the port and the firewall, and that the server runs.",
    Trouble.ADDRESS_REFUSED: (
        "Give the address of a directory, at port 389, 636, 3268 or 3269. The machine of this system"
        " itself is asked only if its operator has allowed that."
    ),
    Trouble.TIMEOUT: "The server accepts and does not answer in time; look at its load and its log.",
    Trouble.TLS_FAILED: (
        "Give the certificate of the authority that signed the server's certificate, and the host"
        " name that stands in it."
    ),
    Trouble.BIND_REFUSED: "Check the bind DN and its password, and that the account is not locked.",
    Trouble.NOT_AS_SET: "Check the base DN, the names of attributes and the filters.",
    Trouble.BAD_ANSWER: "The server does not speak LDAP as it should; look at its log.",
    Trouble.TOO_LARGE: "Choose a narrower base DN or user filter.",
    Trouble.BUSY: "Too many people are signing in at once; try again shortly.",
}
"""What to do about each."""

_OF_ONE_SERVER: Final = frozenset(
    {
        Trouble.UNREACHABLE,
        Trouble.ADDRESS_REFUSED,
        Trouble.TIMEOUT,
        Trouble.TLS_FAILED,
        Trouble.BAD_ANSWER,
    }
)


class DirectoryError(Exception):
    """The directory could not be asked, or what it answered can't be used.

    The text names servers, attributes and result codes; never a password, and never a name that
    somebody typed.
    """

    def __init__(self, trouble: Trouble, happened: str) -> None:
        super().__init__(f"{trouble}: {happened}. {TODO[trouble]}")
        self.trouble = trouble
        self.happened = happened

    @property
    def is_of_one_server(self) -> bool:
        """Whether the next server of the list may do better. A refused bind may not: asking on
        would only lock the account."""
        return self.trouble in _OF_ONE_SERVER
