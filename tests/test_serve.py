"""The server as a process of its own: its address, its end, its lock, and what outlives a kill."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from live import PATIENCE, Live, live, messages
from small_atlas import VERSION

from explorer.errors import ExplorerError
from webapp import layout, server
from webapp.cli import main
from webapp.site import Site

MAIN = (sys.executable, "-c", "import sys; from webapp.cli import main; sys.exit(main())")


@dataclass(frozen=True)
class Serving:
    """A `serve` that is ready: its process and the document that it printed."""

    process: subprocess.Popen[str]
    document: dict[str, Any]

    @property
    def client(self) -> httpx.Client:
        """A client of its own for each use."""
        return httpx.Client(base_url=self.document["url"], timeout=PATIENCE)


@contextmanager
def serving(atlas: Path, *options: str, stderr: Path) -> Iterator[Serving]:
    """Run `serve ATLAS --json OPTIONS` and wait until it says that it is ready; killed when the block ends."""
    with stderr.open("w") as errors:
        command = (*MAIN, "serve", str(atlas), "--json", "--device", "cpu", *options)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, stderr.read_text()
        yield Serving(process, json.loads(line))
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run((*MAIN, *arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_killed_server_leaves_its_job_interrupted(tiny_atlas: Path, tmp_path: Path) -> None:
    """After SIGKILL in the middle of a job the next server says `interrupted` of it, and all that it told is there."""
    workspace = ("--workspace", str(tmp_path / "workspace"), "--port", "0")
    with serving(tiny_atlas, *workspace, stderr=tmp_path / "first") as first, first.client as client:
        recipe = {"recipe": {"prompt": "a red shape", "steps": 150}}
        job, waiting = (client.post("/api/jobs", json=recipe).json()["job"] for _ in range(2))
        with client.stream("GET", f"/api/jobs/{job}/events") as stream:
            heard = []
            for event in messages(stream):
                heard.append(event)
                if event["kind"] == "step" and event["step"] == 3:
                    break
            first.process.send_signal(signal.SIGKILL)
        assert first.process.wait(10) == -signal.SIGKILL
    with serving(tiny_atlas, *workspace, stderr=tmp_path / "second") as second, second.client as client:
        for name in (job, waiting):
            assert client.get(f"/api/jobs/{name}").json()["state"] == "interrupted"
        with client.stream("GET", f"/api/jobs/{job}/events") as stream:
            told = list(messages(stream))
    assert told[: len(heard)] == heard
    assert told[-1]["kind"] == "interrupted"
    assert [event["kind"] for event in told].count("interrupted") == 1
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))


def test_ready_is_one_json_object_and_ctrl_c_is_a_clean_end(tiny_atlas: Path, tmp_path: Path) -> None:
    """With --json standard output is one object, once the page answers; Ctrl-C ends in seconds, whatever is going on.

    What goes on here: models are loading, a job waits for them, and a tab follows the job.
    """
    errors = tmp_path / "stderr"
    with serving(tiny_atlas, "--workspace", str(tmp_path), "--port", "0", stderr=errors) as running:
        assert running.document.keys() == {"atlas", "version", "url"}
        assert running.document["atlas"] == str(tiny_atlas)
        with running.client as client:
            page = client.get("/")
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            job = client.post("/api/jobs", json={"recipe": {"prompt": "a red shape", "steps": 150}}).json()["job"]
            with client.stream("GET", f"/api/jobs/{job}/events") as stream:
                heard = messages(stream)
                assert next(heard)["kind"] == "queued"
                began = time.monotonic()
                running.process.send_signal(signal.SIGINT)
                assert list(heard)[-1]["kind"] == "interrupted"
        rest, _ = running.process.communicate(timeout=PATIENCE)
        assert (running.process.returncode, rest) == (0, "")
        assert time.monotonic() - began < 30
    said = errors.read_text()
    assert running.document["url"] in said
    assert "Traceback" not in said


def test_one_workspace_has_one_server(tiny_atlas: Path, tmp_path: Path) -> None:
    """A second server of the same workspace ends with 1 and says where the first is; after a kill the way is free."""
    workspace = ("--workspace", str(tmp_path / "workspace"), "--port", "0")
    with serving(tiny_atlas, *workspace, stderr=tmp_path / "first") as first:
        second = run("serve", str(tiny_atlas), *workspace)
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.count("\n") == 1
        assert first.document["url"] in second.stderr
        assert str(first.process.pid) in second.stderr
        first.process.kill()
        assert first.process.wait(10) == -signal.SIGKILL
    with serving(tiny_atlas, *workspace, stderr=tmp_path / "third") as third, third.client as client:
        assert client.get("/api/state").status_code == 200


def test_only_loopback_is_listened_on(tiny_atlas: Path, tmp_path: Path) -> None:
    """A server has no socket that another machine could reach."""
    with serving(tiny_atlas, "--workspace", str(tmp_path), "--port", "0", stderr=tmp_path / "stderr") as running:
        listening = [c for c in psutil.Process(running.process.pid).net_connections() if c.status == "LISTEN"]
        assert [connection.laddr.ip for connection in listening] == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "", "localhost.example.org"])
@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_binding_beyond_loopback_is_refused(small_atlas: Path, verb: str, host: str) -> None:
    """One line says that this version serves this machine alone, before anything is built or opened to others."""
    arguments = [str(small_atlas)] if verb == "serve" else ["--atlas", str(small_atlas.with_name("none"))]
    with pytest.raises(ExplorerError, match="this version serves this machine alone"):
        _run_here(verb, *arguments, "--host", host)
    assert not small_atlas.with_name("none").exists()


def _run_here(*arguments: str) -> None:
    from webapp.cli import build_parser
    from webapp.console import Bars

    args = build_parser().parse_args(arguments)
    args.progress = Bars()
    args.run(args)


def test_the_next_free_port_is_taken_unless_one_was_named() -> None:
    """The default moves on from a port that is taken; a port that was named is that one or an error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ExplorerError, match=f"port {port} is taken"):
            server.listen("127.0.0.1", port)
    with server.listen("127.0.0.1", None) as first, server.listen("127.0.0.1", None) as second:
        ports = [each.getsockname()[1] for each in (first, second)]
    assert server.DEFAULT_PORT <= ports[0] < ports[1] < server.DEFAULT_PORT + server.TRIED_PORTS


@pytest.mark.parametrize(
    ("host", "start"),
    [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://localhost:"), ("::1", "http://[::1]:")],
)
def test_the_address_can_be_opened_as_it_is_printed(host: str, start: str) -> None:
    """Names, IPv4 and IPv6 give an address that a browser takes."""
    try:
        with server.listen(host, 0) as listening:
            assert server.url(listening, host) == f"{start}{listening.getsockname()[1]}/"
    except ExplorerError:
        assert host == "::1" and not socket.has_dualstack_ipv6(), "only a machine without IPv6 cannot listen there"


def test_every_script_of_the_page_is_one_that_its_policy_names(served: Live) -> None:
    """A script is a file from here, or bears a hash that the policy lists; no file comes from elsewhere."""
    answer = served.client.get("/")
    page = re.sub(r"<!--.*?-->", "", answer.text, flags=re.DOTALL)  # Dash keeps a script for Internet Explorer in one
    allowed = answer.headers["content-security-policy"].split("script-src ")[1].split(";")[0].split()
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    inline = [body for attributes, body in scripts if "src=" not in attributes and "application/json" not in attributes]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in inline]
    assert hashes and set(hashes) <= set(allowed)
    files = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
    assert len(files) > 5
    for file in files:
        assert file.startswith("/") and not file.startswith("//")
        assert served.client.get(file).status_code == 200


def test_scripts_are_compressed_for_who_takes_it(served: Live) -> None:
    """The page's scripts move as gzip, are the same as without, and may be kept for ever."""
    files = re.findall(r'<script[^>]*src="(/_dash-component-suites[^"]+)"', served.client.get("/").text)
    squeezed = [served.client.get(file) for file in files]
    assert all(answer.headers["content-encoding"] == "gzip" for answer in squeezed)
    assert all("max-age=31536000" in answer.headers["cache-control"] for answer in squeezed)
    plain = [served.client.get(file, headers={"Accept-Encoding": "identity"}) for file in files]
    assert [answer.content for answer in plain] == [answer.content for answer in squeezed]
    assert all("content-encoding" not in answer.headers for answer in plain)
    moved = sum(int(answer.headers["content-length"]) for answer in squeezed)
    assert moved < 0.4 * sum(len(answer.content) for answer in plain)


CALLBACKS = (
    None, [], {}, {"output": None}, {"output": 5}, {"output": "nothing.here"}, {"output": ["a"]},
    {"output": "..a.b...c.d..", "inputs": []},
)  # fmt: skip


@pytest.mark.parametrize("body", CALLBACKS)
def test_a_made_up_callback_is_refused(served: Live, body: object) -> None:
    """What names no callback of the page is answered 400, not with a fault."""
    answer = served.client.post("/_dash-update-component", json=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error"}


def test_building_the_app_loads_no_model(small_atlas: Path) -> None:
    """The page is ready before torch is: nothing on the way to it imports a model's library, and no thread runs."""
    program = f"""
import sys, threading
from explorer.atlas import Atlas
from webapp.app import create_app
from webapp.site import GeneratorOptions, open_site
before = threading.active_count()
create_app(open_site(Atlas.open({str(small_atlas)!r}), GeneratorOptions()))
assert threading.active_count() == before
print([name for name in ("torch", "diffusers", "open_clip", "transformers", "umap") if name in sys.modules])
"""
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
    assert os.listdir(small_atlas / "workspace")  # it was opened for real


def test_the_page_is_made_when_it_is_asked_for(small_atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the end points does not wait for it; it is made once, for all visitors."""
    made, make = [], layout.layout

    def counted(site: Site) -> Any:  # noqa: ANN401 - as Dash has them
        made.append(site)
        return make(site)

    monkeypatch.setattr(layout, "layout", counted)
    with live(small_atlas) as running:
        assert running.client.get(f"{running.version}/search.json?id=1000").status_code == 200
        assert running.client.get(f"{running.version}/clip/points.bin").status_code == 200
        assert made == []
        first, second = (running.client.get("/_dash-layout").content for _ in range(2))
        assert first == second
        assert made == [running.site]


def test_wrong_words_and_faulty_input_have_their_own_exit_codes(tmp_path: Path) -> None:
    """Wrong usage ends with 2 and shows how; a fault of the input with 1 and one line."""
    usage = run("serve", str(tmp_path), "--port", "ninety")
    assert usage.returncode == 2
    assert "usage:" in usage.stderr and "0 to 65535" in usage.stderr
    missing = run("serve", str(tmp_path / "nothing"), "--json")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.count("\n") == 1
    assert missing.stderr.startswith("latent-explorer: ")


def test_demo_takes_the_atlas_that_is_there(small_atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is an atlas `demo` builds none; with --no-serve it says which and ends."""
    assert main(["demo", "--atlas", str(small_atlas), "--no-serve", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"atlas": str(small_atlas), "version": VERSION, "url": None}
    assert not (small_atlas / "build").exists()
