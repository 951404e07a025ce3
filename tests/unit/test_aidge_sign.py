"""Signatures against the published vectors, and what the checks refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.aidge_sign import SignatureInvalid, check_present, check_signature, check_time, sign_v1, sign_v2
from service.errors import KeyInvalid, KeyMissing, SignatureExpired

SECRET = b"S4etzZ73nF08vOXVhk3wZjIaLSHw0123"
NOW_MS = 1_700_000_000_000
WINDOW_SECONDS = 900.0
API = "/ai/video/removal"
V1_PARAMETERS = {
    "app_key": "12345678",
    "code": "3_500102_JxZ05Ux3cnnSSUm6dCxYg6Q26",
    "sign_method": "sha256",
    "timestamp": "1517820392000",
}
V1_SIGN = "35607762342831B6A417A0DED84B79C05FEFBF116969C48AD6DC00279A9F4D81"
V2_SIGN = "6873910AD684AA9A8690955552D90E73D03074FDC35122604BC01170D91C762C"


def test_v1_matches_the_published_vector() -> None:
    assert sign_v1(b"helloworld", "/auth/token/create", V1_PARAMETERS) == V1_SIGN


def test_v2_matches_the_published_vector() -> None:
    assert sign_v2(SECRET, str(NOW_MS)) == V2_SIGN


def test_v1_skips_empty_values_and_the_signature_in_any_order() -> None:
    other = dict(reversed(V1_PARAMETERS.items())) | {"partner_id": "", "sign": "anything"}
    assert sign_v1(b"helloworld", "/auth/token/create", other) == V1_SIGN


@pytest.mark.parametrize("spelling", [str.upper, str.lower])
def test_both_versions_are_accepted_in_any_case(spelling: type[str]) -> None:
    v2 = {"app_key": "a", "timestamp": str(NOW_MS), "sign_ver": "v2", "sign_method": "sha256", "sign": spelling(V2_SIGN)}
    check_signature(SECRET, API, v2)
    check_signature(b"helloworld", "/auth/token/create", V1_PARAMETERS | {"sign": spelling(V1_SIGN)})


@pytest.mark.parametrize(
    "change",
    [
        {"sign": "0" * 64},
        {"sign": V2_SIGN[:-1]},
        {"sign": "Ж"},
        {"timestamp": str(NOW_MS + 1)},
        {"sign_method": "md5"},
        {"sign_ver": "v3"},
        {"sign_ver": ""},
    ],
)
def test_a_wrong_signature_is_refused(change: dict[str, str]) -> None:
    sent = {"app_key": "a", "timestamp": str(NOW_MS), "sign_ver": "v2", "sign_method": "sha256", "sign": V2_SIGN}
    with pytest.raises(SignatureInvalid) as refusal:
        check_signature(SECRET, API, sent | change)
    assert isinstance(refusal.value, KeyInvalid)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(st.dictionaries(NAMES, st.text()), NAMES, st.text(min_size=1))
def test_v1_detects_an_added_parameter(parameters: dict[str, str], name: str, value: str) -> None:
    signed = parameters | {"app_key": "a", "timestamp": "1"}
    signed = {key: text for key, text in signed.items() if key not in ("sign", "sign_ver", "sign_method")}
    signed["sign"] = sign_v1(SECRET, API, signed)
    check_signature(SECRET, API, signed)
    if name not in signed:
        with pytest.raises(SignatureInvalid):
            check_signature(SECRET, API, signed | {name: value})


@pytest.mark.parametrize("name", ["/result", "", "1", "a b", "é"])
def test_v1_accepts_only_names_that_cannot_continue_the_apis(name: str) -> None:
    sent = {"app_key": "a", "timestamp": "1", name: "x"}
    with pytest.raises(SignatureInvalid):
        check_signature(SECRET, API, sent | {"sign": sign_v1(SECRET, API, sent)})


def test_v1_signs_a_json_body_too() -> None:
    sent = {"app_key": "a", "timestamp": "1"}
    signed = sent | {"sign": sign_v1(SECRET, API, sent, b"{}")}
    check_signature(SECRET, API, signed, b"{}")
    for body in (b"", b"{} "):
        with pytest.raises(SignatureInvalid):
            check_signature(SECRET, API, signed, body)


@pytest.mark.parametrize("missing", ["app_key", "timestamp", "sign"])
def test_a_missing_parameter_is_named(missing: str) -> None:
    sent = {"app_key": "a", "timestamp": "1", "sign": "b"}
    check_present(sent)
    with pytest.raises(KeyMissing, match=missing):
        check_present(sent | {missing: ""})


@given(st.integers(-2 * 900_000, 2 * 900_000))
def test_a_timestamp_is_valid_within_the_window_before_and_after(offset_ms: int) -> None:
    text = str(NOW_MS + offset_ms)
    if abs(offset_ms) <= 900_000:
        check_time(text, NOW_MS, WINDOW_SECONDS)
    else:
        with pytest.raises(SignatureExpired):
            check_time(text, NOW_MS, WINDOW_SECONDS)


@pytest.mark.parametrize("text", ["", "now", "-1", "1.7e12", "1700000000", "١٧٠٠٠٠٠٠٠٠٠٠٠", "9" * 5000])
def test_a_malformed_timestamp_is_refused(text: str) -> None:
    with pytest.raises(SignatureExpired):
        check_time(text, NOW_MS, WINDOW_SECONDS)
