"""Putting settings that have a secret, and testing them: what the kinds of settings have in common."""

from typing import Any, Final, Self

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM
from gateway.directory.people import Finding, Level
from gateway.kept_settings import KeptRow, KeptSettings, SettingsT
from gateway.rest.access import Caller

STANDS_IN: Final = "?"
"""Stands for a secret that is kept, until it is known whether it may be used."""


class FindingView(BaseModel):
    """One finding: with an `error` people can't sign in."""

    level: Level
    code: str
    text: str

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """A finding as it is shown."""
        return cls(level=finding.level, code=finding.code, text=finding.text)


def checked(kept: KeptSettings[SettingsT], given: dict[str, Any], secret: str) -> SettingsT:
    """Settings that were given.

    Raises:
        RequestValidationError: they are none that can be used.
    """
    try:
        return kept.model.model_validate({**given, kept.sealed_field: secret})
    except ValidationError as error:
        # Without what was put in: the secret is among it.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [{"loc": ("body", *item["loc"]), "msg": item["msg"]} for item in found]
    raise RequestValidationError(faults)


async def with_kept_secret(
    kept: KeptSettings[SettingsT],
    given: dict[str, Any],
    caller: Caller,
    row: KeptRow | None,
    otherwise: str,
) -> SettingsT:
    """Settings that were given without a secret, with the one that is kept.

    Raises:
        RequestValidationError: they can't be used; with `otherwise` where no secret is kept that was given
            for the same destination.
    """
    wanted = checked(kept, given, STANDS_IN)
    secret = await kept.opened(caller.reader, kept.shown(wanted), row.secret) if row else ""
    if not secret:
        raise RequestValidationError([{"loc": ("body", kept.sealed_field), "msg": otherwise}])
    return checked(kept, given, secret)


async def sealed_once(
    kept: KeptSettings[SettingsT],
    settings: SettingsT,
    caller: Caller,
    key: str | None,
    kind: str,
) -> str:
    """The sealed secret: the very same when a request comes again, because no seal is made twice. `kind` is
    that of the event which the request has become."""
    reader = caller.reader
    before = await reader.by_client_id(TENANT_ROOM, caller.principal.user, key) if key else None
    if before is not None and before.kind == kind and before.content is not None:
        sealed = str(orjson.loads(before.content)["secret"])
        if await kept.is_sealed_in(reader, settings, sealed):
            return sealed
    return await kept.sealed(reader, settings)


async def kept_settings(
    kept: KeptSettings[SettingsT], caller: Caller, row: KeptRow | None
) -> SettingsT | None:
    """The settings that are kept; None if there are none.

    Raises:
        Refusal: `CONFLICT`: they can't be used.
    """
    try:
        return await kept.settings_of(caller.reader, row)
    except ValueError:
        raise Refusal(ErrorCode.CONFLICT, "the settings are not usable; put them again") from None
