"""Canonical JSON against the published vectors of RFC 8785, and the fast form against the slow one.

The vectors are those of the RFC itself (sections 3.2.2 to 3.2.4, appendix B) and the inputs of the
test set that the RFC's author publishes (github.com/cyberphone/json-canonicalization, testdata).
"""

import json
import math
import struct

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from store.canonical import canonical, canonical_flat
from store.errors import NotCanonical

SAMPLE = r"""
{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}
"""
SAMPLE_TEXT = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)
SAMPLE_BYTES = bytes.fromhex(
    """
    7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c
    22 6e 75 6d 62 65 72 73 22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31
    65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37 5d 2c 22 73 74 72 69 6e 67 22
    3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d
    """
)

SORTING = r"""
{
  "\u20ac": "Euro Sign",
  "\r": "Carriage Return",
  "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "1": "One",
  "\ud83d\ude00": "Emoji: Grinning Face",
  "\u0080": "Control",
  "\u00f6": "Latin Small Letter O With Diaeresis"
}
"""
SORTED_VALUES = [
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
]

PUBLISHED_SET = {
    "arrays": (
        '[56, {"d": true, "10": null, "1": [ ]}]',
        '[56,{"1":[],"10":null,"d":true}]',
    ),
    "french": (
        '{"peach": "This sorting order", "p\u00e9ch\u00e9": "is wrong according to French",'
        ' "p\u00eache": "but canonicalization MUST", "sin": "ignore locale"}',
        '{"peach":"This sorting order","p\u00e9ch\u00e9":"is wrong according to French",'
        '"p\u00eache":"but canonicalization MUST","sin":"ignore locale"}',
    ),
    "structures": (
        r'{"1": {"f": {"f": "hi","F": 5} ,"\n": 56.0}, "10": { }, "": "empty", "a": { },'
        r' "111": [ {"e": "yes","E": "no" } ], "A": { }}',
        r'{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},'
        r'"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
    ),
    "unicode": (
        r'{"Unnormalized Unicode":"A\u030a"}',
        '{"Unnormalized Unicode":"A\u030a"}',
    ),
    "values": (SAMPLE, SAMPLE_TEXT),
    "weird": (
        r'{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\u000a": "Newline", "1": "One",'
        r' "\u0080": "Control\u007f", "\ud83d\ude02": "Smiley",'
        r' "\u00f6": "Latin Small Letter O With Diaeresis",'
        r' "\ufb33": "Hebrew Letter Dalet With Dagesh", "</script>": "Browser Challenge"}',
        '{"\\n":"Newline","\\r":"Carriage Return","1":"One","</script>":"Browser Challenge",'
        '"\u0080":"Control\u007f","\u00f6":"Latin Small Letter O With Diaeresis",'
        '"\u20ac":"Euro Sign","\U0001f602":"Smiley","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    ),
}

APPENDIX_B = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}
APPENDIX_B_REFUSED = {"7fffffffffffffff": "not a number", "7ff0000000000000": "infinity"}

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = st.integers(-(2**53) + 1, 2**53 - 1)
KEY = st.text(st.characters(codec="ascii"))
HEADERS = st.dictionaries(KEY, TEXT | NUMBER | st.none())


def double(bits: str) -> float:
    """The IEEE-754 double of 16 hex digits."""
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


def test_the_sample_of_the_rfc_has_the_bytes_of_the_rfc() -> None:
    assert canonical(json.loads(SAMPLE)) == SAMPLE_TEXT.encode() == SAMPLE_BYTES


def test_keys_are_sorted_by_utf16_code_units_as_in_the_rfc() -> None:
    text = canonical(json.loads(SORTING)).decode()
    assert list(json.loads(text).values()) == SORTED_VALUES


@pytest.mark.parametrize("name", PUBLISHED_SET)
def test_an_input_of_the_published_set_gives_its_output(name: str) -> None:
    given_text, expected = PUBLISHED_SET[name]
    assert canonical(json.loads(given_text)) == expected.encode()


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B.items())
def test_a_number_is_written_as_in_appendix_b(bits: str, text: str) -> None:
    assert canonical(double(bits)).decode() == text


@pytest.mark.parametrize("bits", APPENDIX_B_REFUSED, ids=APPENDIX_B_REFUSED.get)
def test_a_number_that_appendix_b_refuses_is_refused(bits: str) -> None:
    with pytest.raises(NotCanonical):
        canonical(double(bits))


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 2**53, -(2**53), "\ud800", {"\udfff": 1}, b"bytes"],
    ids=repr,
)
def test_what_has_no_single_form_is_refused_at_any_depth(value: object) -> None:
    for nested in (value, [value], {"a": [{"b": value}]}):
        with pytest.raises(NotCanonical):
            canonical(nested)


@given(HEADERS)
def test_the_fast_form_of_a_flat_object_is_the_canonical_one(
    header: dict[str, str | int | None],
) -> None:
    assert canonical_flat(header) == rfc8785.dumps(header) == canonical(header)


def test_every_control_character_is_written_alike_by_both() -> None:
    header: dict[str, str | int | None] = {
        f"{code:02x}": f'{chr(code)}\\"/\u007f\u2028' for code in range(0x20)
    }
    assert canonical_flat(header) == rfc8785.dumps(header)


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**63, 2**70, "\ud800"], ids=repr)
def test_the_fast_form_refuses_what_the_slow_one_refuses(value: str | int) -> None:
    with pytest.raises(NotCanonical):
        canonical_flat({"a": value})
