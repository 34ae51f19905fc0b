"""The system's Chromium, driven by Playwright: what a browser test and a benchmark of the page need."""

import os
import shutil
from pathlib import Path
from typing import Any

EXECUTABLE = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]


class Browser:
    """A browser of its own, closed on leaving the context.

    Attributes:
        version: Its version.
    """

    def __enter__(self) -> "Browser":
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=EXECUTABLE, args=_FLAGS)
        self.version = f"Chromium {self._browser.version}"
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()

    def open(self, file: Path, width: int, height: int = 900, dark: bool = False) -> "Page":
        """A file in a new tab of that size, loaded."""
        scheme = "dark" if dark else "light"
        page = self._browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
        return Page(page, file)

    def processor_seconds(self) -> float:
        """Processor time so far, of all processes that this one started."""
        found = [_process(folder) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
        parents = {number: parent for number, parent, _ in found}
        return sum(seconds for number, _, seconds in found if os.getpid() in _ancestry(number, parents)[1:])


def _process(folder: Path) -> tuple[int, int, float]:
    """Number, parent and processor time of a process; of one that just ended, nothing."""
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return int(folder.name), 0, 0.0
    return int(folder.name), int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ancestry(number: int, parents: dict[int, int]) -> list[int]:
    """A process and those above it."""
    line = [number]
    while parent := parents.get(line[-1], 0):
        line.append(parent)
    return line


class Page:
    """A loaded page: its requests and complaints are kept from the start."""

    def __init__(self, page: Any, file: Path) -> None:
        self._page = page
        self._requests: list[str] = []
        self._complaints: list[str] = []
        page.on("request", lambda request: self._requests.append(request.url))
        page.on("console", lambda message: self._complaints.append(message.text))
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.goto(file.resolve().as_uri())

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression; of a promise, what it resolves to."""
        return self._page.evaluate(script)

    def hover(self, selector: str) -> None:
        """Move the mouse to the middle of the first such element, scrolled to where it is seen."""
        self._page.locator(selector).first.scroll_into_view_if_needed()
        box = self._page.locator(selector).first.bounding_box()
        self._page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def picture(self, out: Path, whole: bool = True) -> None:
        """The page as PNG; all of its height, or what the window shows."""
        self._page.screenshot(path=out, full_page=whole)

    def complaints(self) -> list[str]:
        """What the console has, and exceptions that nothing caught."""
        return list(self._complaints)

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        return list(self._requests)

    def close(self) -> None:
        """Close the tab."""
        self._page.context.close()
