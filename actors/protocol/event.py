"""What every structured kind of record has."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

MaybeRole = Annotated[str | None, Field(exclude_if=lambda value: value is None)]
"""A role that the tenant has made; left out where there is none."""


class Structured(BaseModel):
    """A kind whose content is a JSON object.

    `request` is the fingerprint of the command, so that the same client_id with another body is
    noticed for ever.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: ClassVar[str]
    request: str = ""
