"""A headless Chromium, where one is installed, for pictures of pages and for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing is fetched or reported beside the page itself, and no GPU or sandbox of the system is needed.
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class NoBrowser(RuntimeError):
    """There is no Playwright, or no Chromium."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright's, with a profile of its own that is gone afterwards.

    Raises
    ------
    NoBrowser : says what is not installed, and how to.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NoBrowser("Playwright is not installed: pip install -e '.[browser]'") from None
    installed = next(filter(None, map(shutil.which, NAMES)), None)  # that of the system, else Playwright's own
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, args=list(OPTIONS))
        except Error as error:
            reason = str(error).strip().partition("\n")[0]
            raise NoBrowser(
                f"Chromium cannot be started ({reason}): install the system's package chromium, or run "
                "python -m playwright install chromium"
            ) from None
        try:
            yield browser
        finally:
            browser.close()
