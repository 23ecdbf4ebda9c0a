"""The one JSON parser for everything that clients send.

It refuses what other parts of the system would read differently or could not store: NaN and
infinities, numbers that overflow (1e400), integers beyond 64 bits, lone surrogates, bytes that are
not UTF-8, duplicate keys, too many bytes, too much nesting. Text is never normalised: what was sent
is what is hashed.
"""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

import orjson

from actors.protocol.errors import ErrorCode
from actors.protocol.limits import FRAME_BYTES_MAX, JSON_DEPTH_MAX

_INTEGER_MIN = -(2**63)
_INTEGER_MAX = 2**64 - 1


class StrictJsonError(Exception):
    """The bytes are not JSON that can be taken; `detail` says why and repeats none of them."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def parse(data: bytes) -> Any:
    """The value in `data`.

    Raises:
        StrictJsonError: `TOO_LARGE`, or `BAD_FRAME` for all else.
    """
    if len(data) > FRAME_BYTES_MAX:
        raise StrictJsonError(ErrorCode.TOO_LARGE, f"more than {FRAME_BYTES_MAX} bytes")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _refused(f"not JSON: {error}") from None
    if orjson.dumps(value) != data:
        # White space, escapes and another form of numbers are fine; a key or a digit that got
        # lost is not. Only the slow parser can tell them apart.
        value = _parse_slowly(data)
    if _too_deep(value, JSON_DEPTH_MAX):
        raise _refused(f"nested deeper than {JSON_DEPTH_MAX}")
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """The object in `data`.

    Raises:
        StrictJsonError: as `parse`, and for any other kind of value.
    """
    value = parse(data)
    if not isinstance(value, dict):
        raise _refused("not a JSON object")
    return value


def _parse_slowly(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_int=_bounded_integer,
        )
    except (ValueError, RecursionError) as error:
        raise _refused(f"not JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _refused("a key stands twice in one object")
    return value


def _refuse_constant(_text: str) -> NoReturn:
    raise _refused("NaN and infinities are not JSON")


def _bounded_integer(text: str) -> int:
    # The digits are counted first: converting a very long integer is slow by design.
    if len(text) <= 20 and _INTEGER_MIN <= (value := int(text)) <= _INTEGER_MAX:
        return value
    raise _refused("an integer of more than 64 bits")


def _too_deep(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        items: Iterable[Any] = value.values()
    elif isinstance(value, list):
        items = value
    else:
        return False
    if levels == 0:
        return True
    for item in items:  # noqa: SIM110 -- a generator doubles the price of every frame
        if isinstance(item, (dict, list)) and _too_deep(item, levels - 1):
            return True
    return False


def _refused(detail: str) -> StrictJsonError:
    return StrictJsonError(ErrorCode.BAD_FRAME, detail)
