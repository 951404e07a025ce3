"""Drives Debian's Firefox through Marionette, the protocol that it brings itself: no driver and no package is needed.

with firefox(program, folder) as browser:        # headless, with a new profile; downloads arrive in folder / "downloads"
    browser.go(url)
    browser.type("#key", "text", ENTER)
    browser.click("#download")
"""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fixture_host import eventually

ENTER = "\ue007"  # as WebDriver has it
START_SECONDS = 120.0  # on a busy machine; an idle one takes four
PATIENCE_SECONDS = 120.0
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id in WebDriver's answers
PREFERENCES = {
    "marionette.port": 0,  # a free one, which the profile's file MarionetteActivePort names
    "browser.download.folderList": 2,  # the folder below
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.proxy.type": 0,  # none
    "intl.accept_languages": "en-US",
}


class FirefoxError(Exception):
    """What Firefox refused, and why."""


@dataclass
class Firefox:
    """A session. Selectors are CSS; elements are waited for."""

    connection: socket.socket
    number: int = 0
    unread: bytes = b""

    def tell(self, command: str, **parameters: object) -> Any:
        """Send a command and return its value. Raises FirefoxError."""
        self.number += 1
        message = json.dumps([0, self.number, command, parameters]).encode()
        self.connection.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self.read()
        if error:
            raise FirefoxError(f"{command}: {error['message']}")
        return result.get("value", result) if isinstance(result, dict) else result

    def read(self) -> Any:
        """The next message: its length in bytes, a colon, and JSON."""
        while b":" not in self.unread:
            self._receive()
        length, _, self.unread = self.unread.partition(b":")
        while len(self.unread) < int(length):
            self._receive()
        message, self.unread = self.unread[: int(length)], self.unread[int(length) :]
        return json.loads(message)

    def _receive(self) -> None:
        part = self.connection.recv(65536)
        if not part:
            raise FirefoxError("Firefox has closed the connection")
        self.unread += part

    def go(self, url: str) -> None:
        self.tell("WebDriver:Navigate", url=url)

    def run(self, script: str, *arguments: object) -> Any:
        """The value that a script returns in the page."""
        return self.tell("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def see(self, condition: str) -> None:
        """Wait until an expression is true in the page."""
        eventually(lambda: self.run(f"return Boolean({condition})"), PATIENCE_SECONDS)

    def type(self, selector: str, text: str) -> None:
        """Type into an element; the path of a file chooses that."""
        self.tell("WebDriver:ElementSendKeys", id=self._element(selector), text=text)

    def click(self, selector: str) -> None:
        self.tell("WebDriver:ElementClick", id=self._element(selector))

    def _element(self, selector: str) -> str:
        self.see(f"document.querySelector({json.dumps(selector)})")
        found: str = self.tell("WebDriver:FindElement", using="css selector", value=selector)[ELEMENT]
        return found


@contextmanager
def firefox(program: str, folder: Path) -> Iterator[Firefox]:
    """A running Firefox, for the length of the block."""
    profile, downloads = folder / "profile", folder / "downloads"
    profile.mkdir(parents=True)
    downloads.mkdir()
    chosen = PREFERENCES | {"browser.download.dir": str(downloads)}
    (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in chosen.items()))
    command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile), "about:blank"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as process:
        try:
            named = profile / "MarionetteActivePort"
            eventually(lambda: named.exists() and named.read_text(), START_SECONDS)
            with socket.create_connection(("127.0.0.1", int(named.read_text())), PATIENCE_SECONDS) as connection:
                browser = Firefox(connection)
                hello = browser.unread or connection.recv(4096)
                assert b"marionetteProtocol" in hello
                browser.tell("WebDriver:NewSession")
                yield browser
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
