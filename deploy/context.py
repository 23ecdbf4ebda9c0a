"""Where a local stack is and who may enter: what `up` writes and the other commands read."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

READY_FILE: Final = "ready.json"
ROOT: Final = Path(__file__).resolve().parents[1]


class NoStack(Exception):
    """No local stack is known here."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in. The password is in the clear: the file is its owner's alone."""

    username: str
    role: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """A tenant's first users, and what its external systems need to publish."""

    id: str
    users: list[User]
    nats: dict[str, str]


@dataclass(frozen=True, slots=True)
class Ready:
    """The ready file. `mongo_url` holds the administrator's password."""

    url: str
    nats_url: str
    mongo_url: str = field(repr=False)
    pid: int
    data_dir: str
    tenants: list[TenantAccess]

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all, readable by its owner only."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        draft.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            NoStack: there is none.
        """
        try:
            fields: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise NoStack(f"nothing runs here: {path} is missing; start './wardroom up'") from error
        tenants = [
            TenantAccess(item["id"], [User(**user) for user in item["users"]], item["nats"])
            for item in fields.pop("tenants")
        ]
        return cls(**fields, tenants=tenants)

    def user(self, name: str | None) -> tuple[TenantAccess, User]:
        """The user of that name; without a name the first tenant's analyst.

        Raises:
            NoStack: there is no such user.
        """
        for tenant in self.tenants:
            for user in tenant.users:
                if user.username == name or (name is None and user.role == "analyst"):
                    return tenant, user
        known = ", ".join(user.username for tenant in self.tenants for user in tenant.users)
        raise NoStack(f"no user {name!r}; known: {known}")


def default_data_dir() -> Path:
    """WARDROOM_DATA_DIR, else .wardroom in the checkout, else in the user's own data directory."""
    given = os.environ.get("WARDROOM_DATA_DIR")
    if given:
        return Path(given)
    if os.access(ROOT, os.W_OK):
        return ROOT / ".wardroom"
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "wardroom"
