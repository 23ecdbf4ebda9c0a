"""The strict parser against a slow reference, and the table of what it refuses."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.errors import ErrorCode
from actors.protocol.limits import FRAME_BYTES_MAX, JSON_DEPTH_MAX
from gateway.strict_json import StrictJsonError, parse, parse_object

REFUSED = {
    "nothing": b"",
    "white space": b"  ",
    "half an object": b'{"a":1',
    "two values": b"{}{}",
    "a comma too many": b"[1,]",
    "a comment": b"{}//",
    "single quotes": b"{'a':1}",
    "NaN": b'{"a":NaN}',
    "infinity": b"[Infinity]",
    "negative infinity": b"[-Infinity]",
    "a number that overflows": b'{"a":1e400}',
    "a negative number that overflows": b'{"a":-1e400}',
    "an integer of 65 bits": b'{"a":18446744073709551616}',
    "a very negative integer": b'{"a":-9223372036854775809}',
    "an integer of 5000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "a high surrogate alone": b'{"a":"\\ud800"}',
    "a low surrogate alone": b'{"a":"\\udc00"}',
    "two high surrogates": b'{"a":"\\ud800\\ud800"}',
    "a surrogate in a key": b'{"\\ud800":1}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "latin-1": b'"\xe9"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a raw control character": b'"\x01"',
    "a duplicate key": b'{"a":1,"a":2}',
    "a duplicate key with the same value": b'{"a":1,"a":1}',
    "a duplicate key deep inside": b'{"b":[{"a":1,"c":2,"a":1}]}',
    "a duplicate key spelled otherwise": b'{"a":1,"\\u0061":2}',
    "a leading zero": b"[01]",
    "a plus sign": b"[+1]",
    "deep arrays": b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1),
    "deep objects": b'{"a":' * (JSON_DEPTH_MAX + 1) + b"1" + b"}" * (JSON_DEPTH_MAX + 1),
    "deeper than any stack": b"[" * 60_000,
}
ACCEPTED: dict[str, tuple[bytes, Any]] = {
    "compact": (b'{"a":1}', {"a": 1}),
    "with white space": (b' {\n"a" : 1 }\t', {"a": 1}),
    "escaped letters": (b'{"\\u0061":"\\u00e9"}', {"a": "\u00e9"}),
    "a pair of surrogates": (b'"\\ud83d\\ude00"', "\U0001f600"),
    "an escaped slash": (b'"a\\/b"', "a/b"),
    "NUL": (b'"\\u0000"', "\0"),
    "text that is not normalised": ('"a\u0301"'.encode(), "a\u0301"),
    "another form of a float": (b"[1E2]", [100.0]),
    "a float that vanishes": (b"[1e-400]", [0.0]),
    "minus zero": (b"[-0]", [0]),
    "the greatest integer": (b"[18446744073709551615]", [2**64 - 1]),
    "the least integer": (b"[-9223372036854775808]", [-(2**63)]),
    "as deep as it goes": (b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX, None),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(StrictJsonError) as caught:
        parse(data)

    assert caught.value.code is ErrorCode.BAD_FRAME


@pytest.mark.parametrize(("data", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_json_that_can_be_read_in_one_way_only_is_taken(data: bytes, value: Any) -> None:
    parsed = parse(data)

    assert value is None or (parsed == value and type(parsed) is type(value))


def test_one_byte_too_many_is_too_large_even_if_it_is_no_json() -> None:
    with pytest.raises(StrictJsonError) as caught:
        parse(b"x" * (FRAME_BYTES_MAX + 1))

    assert caught.value.code is ErrorCode.TOO_LARGE


def test_as_many_bytes_as_allowed_are_taken() -> None:
    assert len(parse(b'"' + b"x" * (FRAME_BYTES_MAX - 2) + b'"')) == FRAME_BYTES_MAX - 2


@pytest.mark.parametrize("data", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_a_value_that_is_no_object_is_refused_where_an_object_is_wanted(data: bytes) -> None:
    with pytest.raises(StrictJsonError):
        parse_object(data)


def test_a_refusal_repeats_nothing_of_what_was_sent() -> None:
    with pytest.raises(StrictJsonError) as caught:
        parse(b'{"password":"hunter2","password":"hunter2"}')

    assert "hunter2" not in caught.value.detail


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_any_value_survives_any_way_of_writing_it(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert parse(written) == value


@given(st.dictionaries(st.text(), st.integers(0, 9), min_size=1), st.data())
def test_a_repeated_key_is_refused_wherever_it_stands(
    fields: dict[str, int], data: st.DataObject
) -> None:
    pairs = [orjson.dumps(name) + b":" + orjson.dumps(value) for name, value in fields.items()]
    pairs.insert(data.draw(st.integers(0, len(pairs))), data.draw(st.sampled_from(pairs)))

    with pytest.raises(StrictJsonError):
        parse(b"{" + b",".join(pairs) + b"}")


def _reference(data: bytes) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("duplicate")
        return dict(pairs)

    def refuse(text: str) -> Any:
        raise ValueError(text)

    value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    # Whatever can't be written as UTF-8 and bounded numbers is not ours.
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    written.encode()
    _bounded(value)
    return value


def _bounded(value: Any) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("integer")
    for item in value.values() if isinstance(value, dict) else value if _is_list(value) else ():
        _bounded(item)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


PIECES = ["{", "}", "[", "]", ",", ":", " ", "\n", '"a"', '"b"', '""', '"\ud7ff"']
ODDITIES = ['"\\ud800"', '"\\u0061"', "1", "-0", "1.0", "1e400", "NaN", "18446744073709551616"]
SNIPPETS = st.sampled_from([*PIECES, *ODDITIES, "true", "null"])


@given(st.lists(SNIPPETS, max_size=12).map("".join))
def test_it_agrees_with_a_slow_reference_on_whatever_looks_like_json(text: str) -> None:
    data = text.encode()
    try:
        expected = _reference(data)
    except (ValueError, RecursionError):
        with pytest.raises(StrictJsonError):
            parse(data)
    else:
        assert parse(data) == expected
