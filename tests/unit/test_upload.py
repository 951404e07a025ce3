"""Sanitising the names that clients give their uploads, and limiting how many arrive at once."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.upload import AccountSlots, plain_name, plain_path, upload_key
from service.errors import QueueFull
from service.outside.storage import is_key

TEXT = st.text(max_size=300) | st.text(alphabet="./\\ a-Z0中", max_size=300)


@given(TEXT, TEXT)
def test_any_name_makes_a_key_of_the_account(folder: str, name: str) -> None:
    path = "/".join(filter(None, (plain_path(folder), (plain_name(name) or "upload") + ".mp4")))
    key = upload_key(7, path)
    assert is_key(key)
    assert key.startswith("uploads/7/")
    assert ".." not in key.split("/")


@given(TEXT)
def test_a_sanitised_path_is_unchanged(text: str) -> None:
    assert plain_path(plain_path(text)) == plain_path(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("images/user-uploads", "images/user-uploads"), ("/a//b/", "a/b"), ("../../etc", "etc"), ("C:\\my files", "C/my-files"), ("视频", "")],
)
def test_folders_are_sanitised(text: str, plain: str) -> None:
    assert plain_path(text) == plain


def test_no_two_uploads_share_a_key() -> None:
    assert upload_key(7, "clip.mp4") != upload_key(7, "clip.mp4")


def test_an_account_has_so_many_slots_and_others_have_their_own() -> None:
    slots = AccountSlots(2, "uploads")
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(slots.one(1))
        with pytest.raises(QueueFull, match="2 uploads"), slots.one(1):
            pass
        held.enter_context(slots.one(2))
        assert slots.running == 3
    assert slots.running == 0
    with slots.one(1):
        assert slots.running == 1
