"""Who a directory knows: users, their groups, the state of their accounts, and why one is refused."""

from dataclasses import dataclass
from enum import StrEnum


class AccountState(StrEnum):
    """What a directory says of an account besides its password."""

    ACTIVE = "active"
    DISABLED = "disabled"
    EXPIRED = "expired"
    LOCKED = "locked"
    MUST_CHANGE_PASSWORD = "must_change_password"  # noqa: S105 - no password
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - no password


class Denial(StrEnum):
    """Why somebody is refused: for logs and audit. Whoever signs in is told none of it."""

    BAD_INPUT = "bad_input"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - no password
    NOT_NOW_OR_HERE = "not_now_or_here"
    DISABLED = "disabled"
    EXPIRED = "expired"
    LOCKED = "locked"
    MUST_CHANGE_PASSWORD = "must_change_password"  # noqa: S105 - no password
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal. `code` is the server's own: an LDAP result, and AD's `data` if it gave one."""

    denial: Denial
    code: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group by its DN, and by the value of that DN's first part."""

    dn: str
    name: str


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user as the directory describes him now.

    `key` (objectGUID, entryUUID) stays the same through renames and moves: it is who he is. The rest
    may change, and may be given to somebody else. `groups` holds the nested ones too.
    """

    key: str
    username: str
    email: str
    display_name: str
    groups: tuple[Group, ...]
    state: AccountState

    @property
    def disabled(self) -> bool:
        """Whether open sessions have to end. A lock-out does not end them: whoever mistypes a
        colleague's password often enough could then throw him out."""
        return self.state in (AccountState.DISABLED, AccountState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Page:
    """Some users of a directory; `skipped` counts entries that lack a key or a user name."""

    users: tuple[DirectoryUser, ...]
    skipped: int


class Level(StrEnum):
    """How much a finding matters: with an error nobody can sign in."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of testing a connection: a code, and a sentence for whoever set it up."""

    level: Level
    code: str
    text: str
