"""How sensitive something is: who may see it (clearance), and what he may then do with it (TLP, PAP).

Clearance is enforced here. The Traffic Light Protocol (FIRST, TLP 2.0) and the Permissible Actions Protocol
(MISP's PAP taxonomy) are words to people: what has them carries them wherever it is shown.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

CLEARANCES: Final = ("standard", "restricted", "confidential", "secret")
"""The levels by name, the lowest first. On every wire a level is its place in here."""
LOWEST: Final = 0
HIGHEST: Final = len(CLEARANCES) - 1

Clearance = Annotated[int, Field(ge=LOWEST, le=HIGHEST)]
TlpName = Literal["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"]
PapName = Literal["RED", "AMBER", "GREEN", "CLEAR"]
"""The same words for models that bend no type."""


class Tlp(StrEnum):
    """With whom it may be shared; the strictest first."""

    RED = "RED"
    AMBER_STRICT = "AMBER+STRICT"
    AMBER = "AMBER"
    GREEN = "GREEN"
    CLEAR = "CLEAR"


class Pap(StrEnum):
    """What may be done with it where the adversary could notice; the strictest first."""

    RED = "RED"
    AMBER = "AMBER"
    GREEN = "GREEN"
    CLEAR = "CLEAR"


class Marking(BaseModel):
    """How something is marked. The defaults are those of a room that nobody has marked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    clearance: Clearance = LOWEST
    tlp: Tlp = Tlp.AMBER
    pap: Pap = Pap.AMBER

    def with_changes(self, clearance: int | None, tlp: Tlp | None, pap: Pap | None) -> "Marking":
        """This marking with another value wherever one is given."""
        given: dict[str, Any] = {"clearance": clearance, "tlp": tlp, "pap": pap}
        return self.model_copy(update={name: v for name, v in given.items() if v is not None})


UNMARKED: Final = Marking()


def is_laxer(entry: Marking, room: Marking) -> bool:
    """Whether an entry would be marked less strictly than its room in anything."""
    tlps, paps = list(Tlp), list(Pap)
    return (
        entry.clearance < room.clearance
        or tlps.index(entry.tlp) > tlps.index(room.tlp)
        or paps.index(entry.pap) > paps.index(room.pap)
    )
