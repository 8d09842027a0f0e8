"""The Chromium on this machine, for the tests and the measurements that look at the site."""

import os
import shutil
from pathlib import Path

NAMES = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"


def browser_path():
    """The path of a Chromium, None where there is none: BROWSER_PATH, one of the system, or Playwright's own."""
    if "BROWSER_PATH" in os.environ:
        return os.environ["BROWSER_PATH"]
    for name in NAMES:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        bundled = playwright.chromium.executable_path
    return bundled if Path(bundled).exists() else None
