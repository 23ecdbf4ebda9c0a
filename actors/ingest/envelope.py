"""What an external system sent: plain JSON, or CloudEvents 1.0 in binary or structured mode."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from actors.protocol.limits import JSON_DEPTH_MAX

STRUCTURED_CONTENT_TYPE: Final = "application/cloudevents+json"
CLOUDEVENTS_VERSION: Final = "1.0"


def payload_of(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The payload. Source: CloudEvents 1.0, NATS protocol binding, sections 3.1 and 3.2.

    Raises:
        ValueError: not JSON, no object, too deep, or another version of CloudEvents.
    """
    document = _object(body, "the body")
    if not _is_within(document, JSON_DEPTH_MAX):
        raise ValueError(f"the body is nested more than {JSON_DEPTH_MAX} levels deep")
    named = {name.lower(): value for name, value in headers.items()}
    if named.get("content-type", "").startswith(STRUCTURED_CONTENT_TYPE):
        _check_version(document.get("specversion"))
        data = document.get("data")
        if not isinstance(data, dict):
            raise ValueError("a structured CloudEvent needs an object as data")
        return data
    if "ce-specversion" in named:
        _check_version(named["ce-specversion"])
    return document


def _is_within(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(_is_within(item, levels - 1) for item in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_within(item, levels - 1) for item in value)
    return True


def _check_version(version: object) -> None:
    if version != CLOUDEVENTS_VERSION:
        raise ValueError(f"CloudEvents {version} is not understood; send 1.0")


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{what} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{what} must be a JSON object")
    return document
