"""A real Chromium for tests: found, or installed from Debian's packages; without one, tests fail and say so."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowser(Exception):
    """There is no Chromium, and it cannot be installed here."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why} The browser tests need Chromium: install Debian's package chromium (apt-get install chromium),"
            " or set BROKER_TEST_CHROMIUM to the path of one."
        )


def chromium() -> str:
    """Path of its program. Raises `NoBrowser`."""
    given = os.environ.get("BROKER_TEST_CHROMIUM")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    return found or _installed()


def _installed() -> str:
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise NoBrowser("No Chromium was found, and this user cannot install packages.")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
        done = subprocess.run(["apt-get", "-q", *arguments], env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoBrowser(f"apt-get {arguments[0]} failed: {done.stderr.strip()[-300:]}")
    found = shutil.which("chromium")
    if not found:
        raise NoBrowser("Chromium was installed and is not there.")
    return found
