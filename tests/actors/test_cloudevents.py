"""What external systems send: plain JSON, or CloudEvents in either mode."""

import json
from typing import Any

import pytest

from actors.ingest.envelope import payload_of
from actors.protocol.limits import JSON_DEPTH_MAX

OFFENSE = {"id": 7}
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/qradar",
    "ce-type": "com.ibm.qradar.offense",
    "content-type": "application/json",
}
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}


def structured(**changes: Any) -> bytes:
    """A structured CloudEvent that carries the offense."""
    event = {"specversion": "1.0", "id": "1", "source": "/q", "type": "t", "data": OFFENSE}
    return json.dumps({**event, **changes}).encode()


def nested(levels: int) -> bytes:
    """An object so many levels deep."""
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, json.dumps(OFFENSE).encode()),
        ({"Content-Type": "application/json"}, json.dumps(OFFENSE).encode()),
        (BINARY, json.dumps(OFFENSE).encode()),
        ({name.upper(): value for name, value in BINARY.items()}, json.dumps(OFFENSE).encode()),
        (STRUCTURED, structured()),
        (STRUCTURED, structured(datacontenttype="application/json", subject="offense/7")),
    ],
    ids=["plain", "plain-json", "binary", "binary-shouted", "structured", "structured-more"],
)
def test_the_payload_is_found_in_every_form(headers: dict[str, str], body: bytes) -> None:
    assert payload_of(headers, body) == OFFENSE


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({}, b"", "not JSON"),
        ({}, b"{", "not JSON"),
        ({}, b'{"a": NaN}', "not JSON"),
        ({}, b"\xff\xfe{}", "not JSON"),
        ({}, b'{"a":"\\ud800"}', "not JSON"),
        ({}, b"[]", "must be a JSON object"),
        ({}, b"7", "must be a JSON object"),
        ({**BINARY, "ce-specversion": "0.3"}, b"{}", "CloudEvents 0.3"),
        (STRUCTURED, structured(specversion="2.0"), r"CloudEvents 2\.0"),
        (STRUCTURED, structured(data="text"), "needs an object as data"),
        (STRUCTURED, b'{"specversion":"1.0"}', "needs an object as data"),
        (STRUCTURED, b"{}", "CloudEvents None"),
        ({}, nested(JSON_DEPTH_MAX + 1), "levels deep"),
        ({}, nested(1_000), "levels deep"),
        ({}, b'{"a":' + b"[" * 400 + b"]" * 400 + b"}", "levels deep"),
    ],
)
def test_what_can_not_be_read_is_refused_with_the_reason(
    headers: dict[str, str], body: bytes, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        payload_of(headers, body)


def test_a_body_may_be_as_deep_as_the_limit() -> None:
    assert payload_of({}, nested(JSON_DEPTH_MAX))
