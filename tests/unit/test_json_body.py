"""Reading JSON of strangers in parts: the same as `json.loads` within the limits, refused beyond them, and files within strings."""

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.api.base64_file import Base64Decoder, EscapedBase64Decoder
from service.api.json_body import LONG_BYTES, MAX_FILES, MAX_TOKENS, JsonReader, parse_object
from service.errors import ParameterError, TooLarge

MIB = 2**20
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(alphabet='a"\\/{}[],: é\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=6,
)


def read(parts: list[bytes], depth: int = 16, file_bytes: int | None = None) -> dict[str, Any]:
    """The object, with the bytes of each file instead of the file."""
    with JsonReader(depth, file_bytes) as reader:
        for part in parts:
            reader.feed(part)
        return {name: value.read() if hasattr(value, "read") else value for name, value in reader.finish().items()}


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.dictionaries(st.text(), VALUES), st.integers(1, 40), st.booleans())
@settings(max_examples=40)
@example({'"\\': ['\\"', "\\\\"]}, 1, True)
def test_an_object_is_read_in_parts_of_any_size(value: dict[str, Any], size: int, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert read(cut(data, size)) == read(cut(data, size), file_bytes=MIB) == value == parse_object(data, 16)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\a1 ').map(str.encode), st.integers(1, 10))
def test_what_is_read_is_what_json_says(data: bytes, size: int) -> None:
    try:
        wanted = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        wanted = None
    if isinstance(wanted, dict):
        assert read(cut(data, size)) == wanted
    else:
        with pytest.raises(ParameterError):
            read(cut(data, size))


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def test_depth_is_limited_before_anything_is_built() -> None:
    assert read([nested(16)])
    with JsonReader(16) as reader, pytest.raises(ParameterError, match="deeper than 16"):
        reader.feed(nested(17)[: 17 * 5])
    assert read([b'{"a": "' + b"[" * 1000 + b'"}']), "brackets in a string are text"


@pytest.mark.parametrize("part", [b"0,", b"{},", b"[],", b'"",', b'"a",', b","])
def test_the_number_of_parts_is_limited_before_anything_is_built(part: bytes) -> None:
    assert len(read([b'{"a":[' + b"0," * (MAX_TOKENS - 10) + b"0]}"])["a"]) == MAX_TOKENS - 9
    with JsonReader(16) as reader, pytest.raises(ParameterError, match="more than 10000 parts"):
        reader.feed(b'{"a":[' + part * (MAX_TOKENS + 1))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_other_encodings_hide_nothing(encoding: str) -> None:
    with pytest.raises(ParameterError):
        read([json.dumps({"a": 1}).encode(encoding)])


@pytest.mark.parametrize("filler", [b" " * 2 * MIB, b'"a": "' + b"x" * 2 * MIB + b'",', b'"' + b"\\\\" * MIB + b'": 1,'])
def test_text_besides_files_is_limited(filler: bytes) -> None:
    with pytest.raises(TooLarge):
        read(cut(b"{" + filler + b'"b": 1}', 65536))


FILE = bytes(range(256)) * 1000
ESCAPES = {  # how writers of JSON may escape base64
    "none": lambda text: text,
    "slashes": lambda text: text.replace("/", "\\/"),
    "html": lambda text: text.replace("=", "\\u003d").replace("+", "\\u002B"),
    "lines": lambda text: "\\r\\n".join(text[start : start + 76] for start in range(0, len(text), 76)),
    "url": lambda text: "data:image\\/png;base64," + text.replace("/", "\\/"),
    "url-safe": lambda text: text.replace("+", "-").replace("/", "_").rstrip("="),
}


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("size", [997, 65536])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_long_strings_are_files(escape: str, size: int, extra: int) -> None:
    file = FILE + b"x" * extra
    text = ESCAPES[escape](base64.b64encode(file).decode())
    data = f'{{"before": "a", "file": "{text}", "after": ["b"]}}'.encode()
    assert read(cut(data, size), file_bytes=MIB) == {"before": "a", "file": file, "after": ["b"]}


def test_long_strings_are_text_where_no_file_is_expected() -> None:
    assert read([b'{"a": "' + b"x" * 2 * LONG_BYTES + b'"}']) == {"a": "x" * 2 * LONG_BYTES}


def test_files_are_limited_in_size_and_number() -> None:
    text = base64.b64encode(FILE)
    with pytest.raises(TooLarge):
        read(cut(b'{"a": "' + text + b'"}', 65536), file_bytes=len(FILE) - 1)
    many = b",".join(b'"%d": "%s"' % (number, text) for number in range(MAX_FILES + 1))
    with pytest.raises(ParameterError, match="more than 4 files"):
        read(cut(b"{" + many + b"}", 65536), file_bytes=MIB)


@pytest.mark.parametrize(
    "text", [b"!" * 2 * LONG_BYTES, b"A" * LONG_BYTES + b"=" * LONG_BYTES + b"A", b"\\n\\u00e9" + b"A" * LONG_BYTES, b"\\q" * LONG_BYTES]
)
def test_a_long_string_that_is_not_base64_is_refused(text: bytes) -> None:
    with pytest.raises(ParameterError, match="not base64"):
        read(cut(b'{"a": "' + text + b'"}', 10_000), file_bytes=MIB)


@given(st.binary(max_size=400), st.integers(1, 50), st.sampled_from(["", "data:image/png;base64,"]), st.sampled_from(["", " ", "\r\n"]))
def test_base64_is_decoded_in_parts_of_any_size(data: bytes, size: int, header: str, space: str) -> None:
    text = (header + space.join(base64.b64encode(data).decode())).encode()
    for kind in (Base64Decoder, EscapedBase64Decoder):
        decoder = kind(BytesIO(), 400)
        for part in cut(text if kind is Base64Decoder else json.dumps(text.decode())[1:-1].encode(), size):
            decoder.feed(part)
        decoder.finish()
        assert decoder.file.read() == data
