"""What the runtime needs to know of a kind of actor: pure functions, as data."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from actors.protocol.commands import ROOM_COMMAND, TENANT_COMMAND, Command
from actors.protocol.errors import Rejection
from actors.protocol.events import EventType
from actors.protocol.ids import TENANT_ROOM
from actors.room import decide as room_decide
from actors.room import evolve as room_evolve
from actors.room import state as room_state
from actors.room.state import Moment, RoomState
from actors.tenant import decide as tenant_decide
from actors.tenant import evolve as tenant_evolve
from actors.tenant import state as tenant_state
from actors.tenant.state import TenantState

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Behaviour(Generic[State]):
    """One kind of actor."""

    commands: TypeAdapter[Any]
    initial: State
    decide: Callable[[State, Any, Moment], EventType | Rejection]
    evolve: Callable[[State, EventType, str, int], State]
    state_kinds: Set[str]
    to_bytes: Callable[[State], bytes]
    from_bytes: Callable[[bytes], State]

    def parse(self, raw: Any) -> Command:
        """A command from its JSON form.

        Raises:
            pydantic.ValidationError: it is none.
        """
        # The adapter's own method spends a fifth of the whole on passing its options on.
        command: Command = self.commands.validator.validate_python(raw)
        return command


ROOM: Behaviour[RoomState] = Behaviour(
    commands=ROOM_COMMAND,
    initial=RoomState(),
    decide=room_decide.decide,
    evolve=room_evolve.evolve,
    state_kinds=room_evolve.STATE_KINDS,
    to_bytes=room_state.state_to_bytes,
    from_bytes=room_state.state_from_bytes,
)
TENANT: Behaviour[TenantState] = Behaviour(
    commands=TENANT_COMMAND,
    initial=TenantState(),
    decide=lambda state, command, moment: tenant_decide.decide(state, command, moment.now_ms),
    evolve=tenant_evolve.evolve,
    state_kinds=tenant_evolve.STATE_KINDS,
    to_bytes=tenant_state.state_to_bytes,
    from_bytes=tenant_state.state_from_bytes,
)


def behaviour_of(room: str) -> Behaviour[Any]:
    """The behaviour behind a mailbox."""
    return TENANT if room == TENANT_ROOM else ROOM
