"""The child process for untrusted media: what it may do, and how its messages and errors arrive."""

import os
import sys
from pathlib import Path

import pytest

from service.errors import DecodeFailed, Truncated
from service.pipeline.sandbox.sandbox import CHILD_ENVIRONMENT, INHERITED, Channel, Child, Message, Task


def answer(channel: Channel, request: Message) -> None:
    channel.send(doubled=2 * request["value"])


def report_damage(channel: Channel, request: Message) -> None:  # noqa: ARG001
    raise Truncated("the file ends early")


def have_a_bug(channel: Channel, request: Message) -> None:  # noqa: ARG001
    raise ZeroDivisionError("oh")


def take_memory(channel: Channel, request: Message) -> None:  # noqa: ARG001
    bytearray(2**30)


def write_a_file(channel: Channel, request: Message) -> None:
    try:
        Path(request["path"]).write_text("something")
    except OSError as error:
        channel.send(refused=type(error).__name__)
    else:
        channel.send(refused=None)


def send_nonsense(channel: Channel, request: Message) -> None:  # noqa: ARG001
    os.write(int(sys.argv[1]), b"\x80\x04this is a pickle.\n")


def tell_what_it_sees(channel: Channel, request: Message) -> None:  # noqa: ARG001
    files = [int(name) for name in os.listdir("/proc/self/fd")]
    channel.send(environment=dict(os.environ), files=[file for file in files if Path(f"/proc/self/fd/{file}").exists()])


def start(task: Task, **request: object) -> Child:
    return Child(task, request, work="decoder", failure=DecodeFailed, memory_bytes=512 * 2**20, stall_seconds=60)


def test_a_task_answers() -> None:
    with start(answer, value=21) as child:
        assert child.receive() == {"doubled": 42}


def test_its_errors_keep_their_kind() -> None:
    with start(report_damage) as child, pytest.raises(Truncated, match=r"^the file ends early$"):
        child.receive()


def test_its_bugs_come_with_their_traceback() -> None:
    with start(have_a_bug) as child, pytest.raises(DecodeFailed, match="unexpected ZeroDivisionError") as caught:
        child.receive()
    assert "ZeroDivisionError: oh" in caught.value.__notes__[0]


def test_its_memory_is_limited() -> None:
    with start(take_memory) as child, pytest.raises(DecodeFailed, match="512 MiB"):
        child.receive()


def test_it_may_not_write(tmp_path: Path) -> None:
    with start(write_a_file, path=str(tmp_path / "file")) as child:
        assert child.receive()["refused"] == "OSError"


def test_it_inherits_no_secrets_and_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = ("CLEANPLATE_SECRET_KEY", "CLEANPLATE_DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "HTTPS_PROXY", "ANYTHING_ELSE")
    for name in secrets:
        monkeypatch.setenv(name, "a secret")
    monkeypatch.setenv("TZ", "Asia/Ho_Chi_Minh")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}:")
    with (tmp_path / "open").open("w") as file, start(tell_what_it_sees) as child:
        os.set_inheritable(file.fileno(), True)
        seen = child.receive()
    assert "a secret" not in seen["environment"].values()
    assert (seen["environment"]["TZ"], seen["environment"]["LD_LIBRARY_PATH"]) == ("Asia/Ho_Chi_Minh", str(tmp_path))
    assert set(seen["environment"]) <= {*INHERITED, *CHILD_ENVIRONMENT, "LD_LIBRARY_PATH", "PYTHONPATH"}
    assert len(seen["files"]) == 4  # standard input, output and errors, and the socket


def test_nonsense_is_a_failure() -> None:
    with start(send_nonsense) as child, pytest.raises(DecodeFailed, match="cannot be read"):
        child.receive()
