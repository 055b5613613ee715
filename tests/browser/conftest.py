"""JupyterLab in a real browser: Debian's Chromium, driven by Playwright."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without the flags on background networking Chromium asks the net for updates before it shows a page.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--disable-quic",
]

IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"


@pytest.fixture(scope="package")  # no longer: Playwright keeps a running event loop, and then others cannot begin one
def browser():
    """Chromium without a window. Skipped where it is not installed: apt-get install chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def jupyter(tmp_path):
    """A JupyterLab on the empty folder `jupyter.folder`; `jupyter.url` opens it."""
    server = Lab(tmp_path)
    yield server
    server.stop()


class Lab:
    def __init__(self, folder: Path):
        self.folder = folder
        self.pages = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        settings = folder / "config"
        options = [
            "--no-browser",
            f"--port={port}",
            "--ip=127.0.0.1",
            "--IdentityProvider.token=",
            "--allow-root",
            "--LabApp.expose_app_in_browser=True",
            f"--ServerApp.root_dir={folder}",
            "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--ServerApp.shutdown_no_activity_timeout=600",
        ]
        environment = os.environ | {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTERLAB_SETTINGS_DIR": str(settings)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{self.url}/api", timeout=1).read()
                return
            except OSError:
                time.sleep(0.5)
        raise RuntimeError("JupyterLab did not start within a minute")

    def stop(self) -> None:
        for page in self.pages:
            page.close()
        self.process.terminate()
        self.process.wait(timeout=20)

    def open(self, browser, notebook: str, height: int = 1400):
        """A page with the notebook open and its kernel ready."""
        page = browser.new_page(viewport={"width": 1280, "height": height})
        self.pages.append(page)
        page.goto(f"{self.url}/lab/tree/{notebook}?reset", timeout=120_000)
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=120_000)
        # The indicator says "idle" before there is a kernel, and JupyterLab drops what is run then without a word.
        page.wait_for_function(
            "jupyterapp.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=120_000,
        )
        page.keyboard.press("Control+b")  # no file browser: the notebook takes the whole width
        return page


def run_all(page, seconds: int = 240) -> None:
    """Run → Run All Cells, and wait until no cell waits any more."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    # Some cell has run, none waits; an error empties the queue a moment after it shows, so look twice.
    for _ in range(2):
        page.wait_for_function(
            """() => { const cells = [...document.querySelectorAll('.jp-InputPrompt')].map(p => p.textContent);
                       return cells.some(t => /\\d/.test(t)) && !cells.some(t => t.includes('*')); }""",
            timeout=seconds * 1000,
        )
        page.wait_for_timeout(1500)
    page.locator(IDLE).first.wait_for(timeout=seconds * 1000)
