"""The key pair of an external system: made where its private half is shown, and kept nowhere."""

from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Final, cast

import nkeys  # type: ignore[import-untyped]

SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class UserKey:
    """A user's key pair in the text form of NATS; whoever has the seed is the user."""

    public: str
    seed: str = field(repr=False)


def new_user_key() -> UserKey:
    """A new key pair."""
    seed = cast(bytes, nkeys.encode_seed(token_bytes(SEED_BYTES), nkeys.PREFIX_BYTE_USER))
    public = cast(bytes, nkeys.from_seed(bytearray(seed)).public_key)
    return UserKey(public.decode(), seed.decode())
