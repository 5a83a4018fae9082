"""JupyterLab and Chromium for tests: a server on a free port with empty settings, notebooks made of cells, pages."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
RUN_ALL = """async () => {
  const { shell, commands } = window.jupyterapp;
  const { context, sessionContext } = shell.currentWidget;
  await context.ready;
  await sessionContext.ready;
  await sessionContext.session.kernel.info; // before that, the notebook asks for a kernel once more
  await commands.execute("notebook:run-all-cells");
}"""
PATIENCE = 120  # seconds for a server or a kernel to start on a busy machine


def find_browser() -> str | None:
    """A Chromium of the system."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Lab:
    """A JupyterLab server with its files in `folder`."""

    def __init__(self, folder: Path):
        self.folder, self.address = folder, f"http://127.0.0.1:{free_port()}"
        self.runtime, self.log = folder / "runtime", folder / "server.log"
        self._set("apputils-extension/notification", fetchNews="false", checkForUpdates=False)
        self._set("notebook-extension/tracker", windowingMode="none")  # cells out of sight stay in the page
        folders = {
            "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }  # fmt: skip
        environment = os.environ | {name: str(folder / sub) for name, sub in folders.items()}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
            "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.address.rpartition(':')[2]}",
            "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
            f"--ServerApp.root_dir={folder}",
        ]  # fmt: skip
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        self._wait()

    def _set(self, plugin: str, **values) -> None:
        file = self.folder / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(f"{self.address}/api/status", timeout=2)
                return
            time.sleep(0.2)
        raise RuntimeError(f"JupyterLab did not start; its log ends: {self.log.read_text()[-2000:]}")

    def write(self, name: str, cells: list[str]) -> None:
        """Make a notebook."""
        empty = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
        shown = [empty | {"id": f"cell{i}", "source": cell} for i, cell in enumerate(cells)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        text = json.dumps({"cells": shown, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
        (self.folder / name).write_text(text)

    def open(self, page, name: str, cells: list[str]) -> "Kernel":
        """Show a notebook of these cells, run them all, and wait until they have run."""
        self.write(name, cells)
        page.goto(f"{self.address}/lab/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook", timeout=1000 * PATIENCE)
        page.evaluate(RUN_ALL)
        return Kernel(self, name)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Kernel:
    """The kernel of an open notebook, asked past the browser."""

    def __init__(self, lab: Lab, notebook: str):
        import zmq
        from jupyter_client import BlockingKernelClient

        with urllib.request.urlopen(f"{lab.address}/api/sessions") as answer:
            sessions = json.load(answer)
        number = next(s["kernel"]["id"] for s in sessions if s["path"] == notebook)
        file = str(lab.runtime / f"kernel-{number}.json")
        # A context of its own would be ended whenever the client is collected, and may wait there for ever.
        self.client = BlockingKernelClient(connection_file=file, context=zmq.Context.instance())
        self.client.load_connection_file()
        self.client.start_channels(iopub=False, stdin=False, hb=False)

    def value(self, expression: str):
        """The value of an expression that JSON can carry."""
        return self.run("", expression)

    def run(self, code: str, expression: str = "None"):
        """Run code, then give the value of an expression."""
        number = self.client.execute(f"import json\n{code}", user_expressions={"x": f"json.dumps({expression})"})
        while True:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == number:
                break
        found = reply["content"]["user_expressions"]["x"]
        assert found["status"] == "ok", found
        return json.loads(eval(found["data"]["text/plain"]))  # text/plain is the repr of a str

    def close(self) -> None:
        self.client.stop_channels()
