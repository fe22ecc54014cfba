"""A real browser without a screen, driven over two pipes by Chromium's DevTools protocol."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Set where a browser has to be there, so that a test of it is not skipped unnoticed.
REQUIRED = "DEROTATION_REQUIRE_BROWSER"
TIMEOUT_S = 60


def find_browser() -> str:
    """Find Chromium, or skip the test; fail it where a browser is required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "no Chromium is installed (on Debian: apt install chromium)"
        if os.environ.get(REQUIRED):
            pytest.fail(f"{reason}, but {REQUIRED} is set")
        pytest.skip(reason)
    return found


class Browser:
    """A headless Chromium, in which tests open pages one after the other."""

    def __init__(self, profile: Path) -> None:
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-extensions", "--remote-debugging-pipe",
            f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        # Chromium takes commands from file descriptor 3 and answers on 4.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{read_commands} 4>&{write_answers}', "bash",
             find_browser(), *arguments],
            pass_fds=(read_commands, write_answers),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(read_commands)
        os.close(write_answers)
        self._buffer, self._number = b"", 0

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=TIMEOUT_S)
        os.close(self._commands)
        os.close(self._answers)

    @contextlib.contextmanager
    def page(self, width: int = 1280, height: int = 900) -> Iterator["Page"]:
        """Open a page in a window of its own, which knows nothing of those before."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call(
            "Target.createTarget", url="about:blank", browserContextId=context, newWindow=True,
            width=width, height=height,
        )  # fmt: skip
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        try:
            yield Page(self, attached["sessionId"], context)
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def call(self, method: str, page: "Page | None" = None, **parameters: object) -> dict:
        """Send a command to the browser or to a page, and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if page:
            message["sessionId"] = page.session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive(page)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def receive(self, page: "Page | None" = None) -> dict:
        """Wait for the next message; the page notes it if it is about an event of its own."""
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            part = os.read(self._answers, 1 << 20) if ready else b""
            if not part:
                raise AssertionError("the browser ended or does not answer")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        if page and message.get("sessionId") == page.session:
            page.note(message.get("method"), message.get("params", {}))
        return message


class Page:
    """One page of the browser.

    ``complaints`` collects errors of the page's console, exceptions and refused requests,
    ``requests`` the addresses that were asked for, apart from the page itself. ``context`` names
    to the browser what belongs to this page: its permissions and downloads.
    """

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self.session = session
        self.context = context
        self._loaded = False
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, page: Path) -> None:
        """Load it from a file, with the network cut off, and wait until it is there."""
        self.call(
            "Network.emulateNetworkConditions",
            offline=True, latency=0, downloadThroughput=0, uploadThroughput=0,
        )  # fmt: skip
        self.go(page.resolve().as_uri())

    def go(self, address: str) -> None:
        """Follow an address, and wait until its page is there."""
        self._loaded = False
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._browser.receive(self)

    def evaluate(self, expression: str) -> object:
        """Evaluate JavaScript in the page; promises are waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Save what the window shows as a PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def call(self, method: str, **parameters: object) -> dict:
        """Send a command to the page and wait for its answer."""
        return self._browser.call(method, self, **parameters)

    def note(self, event: str | None, said: dict) -> None:
        """Note what an event says of the page."""
        match event:
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in ("error", "warning"):
                self.complaints.append(said["entry"]["text"])
            case "Network.loadingFailed":
                self.complaints.append(said["errorText"])
            case "Network.requestWillBeSent" if said["type"] != "Document":
                self.requests.append(said["request"]["url"])
