"""Decoding in worker processes: whatever a file does to its decoder, it costs that file and nothing else."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import odd_decoders
import psutil
import pytest
from pebble import ProcessPool
from pebble.pool.process import NoMessage, WorkerManager
from PIL import EpsImagePlugin, Image

from explorer.confinement import Limits
from explorer.decoding import Workers, isolated_picture
from explorer.errors import BuildError, PictureError, RejectReason
from explorer.pictures import MAX_PIXELS, open_picture
from indexer.encoding.prepared import Prepared, prepare
from indexer.sources.base import plain

MIB = 1024 * 1024
FEW = Limits(memory=512 * MIB, seconds=2)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two workers with little memory, and time for a machine that is busy."""
    with Workers(2, replace(FEW, seconds=120), preload=("indexer.encoding.prepared", "odd_decoders")) as found:
        yield found


@pytest.fixture(scope="module")
def hurried() -> Iterator[Workers]:
    """Two workers with little memory and little time."""
    with Workers(2, FEW, preload=("indexer.encoding.prepared", "odd_decoders")) as found:
        yield found


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)  # type: ignore[arg-type]
    return data.getvalue()


def red(size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, (200, 10, 20))


def refusal(workers: Workers, data: bytes) -> PictureError:
    """Why a worker refuses a file; the next file is decoded as if nothing had been."""
    with pytest.raises(PictureError) as caught:
        workers.submit(prepare, odd_decoders.treacherous, (16,), 64, data).result(timeout=120)
    assert "\n" not in str(caught.value)
    after = workers.submit(prepare, plain, (16,), 64, encoded(red(), "PNG")).result(timeout=120)
    assert (after.width, after.height) == (40, 30)
    return caught.value


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\nshowpage\n%%EOF\n"
LIES = {
    "html": b"<!doctype html><html><body>404</body></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF",
    "eps": EPS,
    "json": b'{"error": "gone"}',
    "tiff": encoded(red(), "TIFF"),
    "bmp": encoded(red(), "BMP"),
    "ico": encoded(red(), "ICO"),
    "icns": encoded(red((64, 64)), "ICNS"),
    "jpeg2000": encoded(red(), "JPEG2000"),
    "tga": encoded(red(), "TGA"),
    "ppm": encoded(red(), "PPM"),
    "zip": b"PK\x03\x04" + bytes(60),
    "elf": b"\x7fELF" + bytes(60),
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "wav": b"RIFF$\x00\x00\x00WAVEfmt " + bytes(40),
}


@pytest.mark.parametrize("name", LIES)
def test_other_files_are_no_pictures_whatever_they_are_called(workers: Workers, name: str) -> None:
    """What is not JPEG, PNG, WebP or GIF by its bytes is refused, though Pillow could open some of it."""
    data = LIES[name]
    expected = RejectReason.TRUNCATED if data.startswith(b"RIFF") else RejectReason.NOT_A_PICTURE
    assert refusal(workers, data).reason is expected


def test_eps_never_starts_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's own way would hand an EPS to `gs`, as this test sees for itself; ours never does."""
    canary = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {canary}\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    with pytest.raises(PictureError), Workers(1) as fresh:
        fresh.submit(open_picture, EPS).result()
    with pytest.raises(PictureError):
        open_picture(EPS)
    assert not canary.exists()
    with pytest.raises((OSError, subprocess.CalledProcessError)), Image.open(io.BytesIO(EPS)) as image:
        image.load()
    assert canary.exists()


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (b"abort", f"exit code {-signal.SIGABRT}"),
        (b"crash", f"exit code {-signal.SIGSEGV}"),
        (b"spin", "longer than 2 seconds"),
        (b"swell", "more than 512 MiB"),
        (b"panic", "Panic"),
    ],
)
def test_a_decoder_that_goes_wrong_costs_one_file(hurried: Workers, deed: bytes, words: str) -> None:
    """Abort, crash, endless loop, endless memory and panic each refuse their file, and say what happened."""
    error = refusal(hurried, deed)
    assert error.reason is RejectReason.DECODER
    assert words in str(error)


def test_files_beside_a_bad_one_come_out(workers: Workers) -> None:
    """Of many files in flight, those whose worker dies are lost, and all the others are right."""
    good = encoded(red(), "PNG")
    files = [b"abort" if number % 7 == 3 else good for number in range(40)]
    answers = [workers.submit(prepare, odd_decoders.treacherous, (8,), 0, data) for data in files]
    for data, answer in zip(files, answers, strict=True):
        if data == good:
            assert answer.result(timeout=120).squares[8].tobytes() == bytes([200, 10, 20]) * 64
        else:
            assert isinstance(answer.exception(timeout=120), PictureError)


@dataclass
class Late:
    """Lets pebble read so many messages of its first workers, and no more before it is told to."""

    read: Callable[[WorkerManager, float], object]
    messages: int
    told: threading.Event = field(default_factory=threading.Event)
    first: WorkerManager | None = None

    def receive(self, manager: WorkerManager, timeout: float) -> object:
        """As pebble's own method, late."""
        self.first = self.first or manager
        if manager is self.first and self.messages == 0:
            self.told.wait(60)
        message = self.read(manager, timeout)
        self.messages -= not isinstance(message, NoMessage)
        return message


@pytest.mark.parametrize("messages", [2, 3])
def test_a_death_is_not_laid_to_a_file_that_was_done(monkeypatch: pytest.MonkeyPatch, messages: int) -> None:
    """A worker dies of a file while pebble has not read that the one before is done, or has begun: only one is lost."""
    late = Late(WorkerManager.receive, messages)
    monkeypatch.setattr(WorkerManager, "receive", lambda manager, timeout: late.receive(manager, timeout))
    with Workers(1, Limits(seconds=2), preload=("odd_decoders",)) as workers:
        worker = psutil.Process(workers.submit(os.getpid).result(timeout=120))
        good, bad = (workers.submit(odd_decoders.treacherous, data) for data in (encoded(red(), "PNG"), b"abort"))
        psutil.wait_procs([worker], timeout=60)
        time.sleep(0.5)
        late.told.set()
        assert np.array_equal(np.asarray(good.result(timeout=60).picture), np.asarray(red()))
        assert isinstance(bad.exception(timeout=60), PictureError)


def test_what_comes_while_all_workers_end_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that pebble took in while its pool broke, and never gives an answer to, is made in the next one."""
    schedule = ProcessPool.schedule
    broken: list[ProcessPool] = []

    def forgets(pool: ProcessPool, *given: object, **settings: object) -> Future[object]:
        if broken:
            return schedule(pool, *given, **settings)
        broken.append(pool)
        assert pool.active
        pool._pool_manager.handle_broken_pool(BrokenProcessPool())
        return Future()

    monkeypatch.setattr(ProcessPool, "schedule", forgets)
    with Workers(1) as workers:
        assert workers.submit(os.getpid).result(timeout=120) != os.getpid()


def test_many_files_go_together_and_still_pay_for_themselves_alone() -> None:
    """Small files go to a worker in packs; one that spins in the midst of them is refused for it, and no other is."""
    files = [b"spin" if number == 20 else encoded(red(), "PNG") for number in range(40)]
    with Workers(2, Limits(seconds=2), preload=("indexer.encoding.prepared", "odd_decoders")) as workers:
        answers = [workers.submit(prepare, odd_decoders.treacherous, (8,), 0, data) for data in files]
        assert workers.is_busy
        errors = [answer.exception(timeout=60) for answer in answers]
        assert not workers.is_busy
    assert [number for number, error in enumerate(errors) if error] == [20]
    assert "longer than 2 seconds" in str(errors[20])
    assert isinstance(errors[20], PictureError)


def test_workers_that_die_between_two_files_are_replaced() -> None:
    """Killed while it waits, say by the system for want of memory, a worker costs no file at all."""
    with Workers(1) as workers:
        for _ in range(3):
            pid = workers.submit(os.getpid).result(timeout=120)
            worker = psutil.Process(pid)
            os.kill(pid, signal.SIGKILL)
            assert psutil.wait_procs([worker], timeout=120)[1] == []
            assert workers.submit(os.getpid).result(timeout=120) != pid


def test_what_waits_in_workers_that_die_is_not_forgotten() -> None:
    """Files too large to lie in a pipe to a worker that is killed before it reads them are all answered by the next."""
    with Workers(1) as workers:
        worker = psutil.Process(workers.submit(os.getpid).result(timeout=120))
        worker.suspend()
        answers = [workers.submit(len, bytes(400_000 + number)) for number in range(6)]
        time.sleep(0.1)
        worker.kill()
        assert [answer.result(timeout=120) for answer in answers] == [400_000 + number for number in range(6)]
        assert not workers.is_busy


def claiming(side: int) -> bytes:
    """A PNG whose head claims a square of so many pixels a side, and that has none."""
    head = side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND")


def test_pillows_warning_is_a_refusal(workers: Workers) -> None:
    """A decoder without a bound of its own is stopped in a worker where Pillow would only warn, at 89 megapixels."""
    assert workers.submit(odd_decoders.careless, claiming(9_000)).result(timeout=120) == (9_000, 9_000)
    with pytest.raises(PictureError, match="DecompressionBombWarning"):
        workers.submit(odd_decoders.careless, claiming(12_000)).result(timeout=120)


def test_a_bomb_of_pixels_stays_small(workers: Workers) -> None:
    """A head that claims 81 megapixels, or 3,600, is refused before one is decoded; 64 are where memory is short."""
    for claimed in (9_000, 60_000):
        assert refusal(workers, claiming(claimed)).reason is RejectReason.TOO_LARGE
    side = int(MAX_PIXELS**0.5)
    with Workers(1, Limits(memory=64 * MIB, seconds=20)) as narrow:
        error = refusal(narrow, encoded(Image.new("RGB", (side, side)), "PNG", compress_level=1))
    assert error.reason is RejectReason.DECODER
    assert "memory" in str(error) or "64 MiB" in str(error)


def test_a_bomb_of_text_or_profile_stays_small(workers: Workers) -> None:
    """Text and ICC profiles in a PNG that unpack to 256 MB are refused within a worker's memory."""
    packed = zlib.compressobj(6)
    much = b"".join(packed.compress(bytes(16 * MIB)) for _ in range(16)) + packed.flush()
    plain_png = encoded(red(), "PNG")
    for kind, name in ((b"zTXt", b"Comment"), (b"iCCP", b"profile")):
        bomb = plain_png[:33] + chunk(kind, name + b"\x00\x00" + much) + plain_png[33:]
        assert refusal(workers, bomb).reason is RejectReason.DECODER


def test_a_huge_profile_costs_nothing(workers: Workers) -> None:
    """16 MB of ICC profile in a JPEG, which is no profile, are read and passed over."""
    size = 250 * 65_519  # a JPEG takes 255 pieces of so many bytes; of more, Pillow reads none
    data = encoded(red(), "JPEG", quality=95, icc_profile=os.urandom(size))
    with Image.open(io.BytesIO(data)) as image:
        assert len(image.info["icc_profile"]) == size
    picture = workers.submit(prepare, plain, (8,), 0, data).result(timeout=120)
    np.testing.assert_allclose(picture.squares[8][0, 0], (200, 10, 20), atol=4)


def test_of_fifty_thousand_frames_the_first_is_decoded(workers: Workers) -> None:
    """A GIF of 50,000 frames takes no longer than a still one; its first frame is the picture."""
    still = encoded(red(), "GIF")
    start = still.index(b",", still.index(b"\x21") if b"\x21" in still[:1000] else 13)
    frame = still[start:-1]
    data = still[:-1] + (b"\x21\xf9\x04\x00\x05\x00\x00\x00" + frame) * 49_999 + b";"
    with Image.open(io.BytesIO(data)) as image:
        image.seek(2)  # the frames are real
    picture = workers.submit(prepare, plain, (8,), 64, data).result(timeout=120)
    assert picture.seconds < 0.5
    np.testing.assert_allclose(picture.squares[8][0, 0], (200, 10, 20), atol=2)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_cut_off_file_is_refused_in_a_worker_too(workers: Workers, format: str) -> None:
    """Cut at every tenth of its length a file is refused for it, and never filled up."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    for tenth in range(1, 10):
        assert refusal(workers, data[: len(data) * tenth // 10]).reason is RejectReason.TRUNCATED


def test_what_a_worker_sends_is_what_is_decoded_here(workers: Workers) -> None:
    """Squares, size, hashes and thumbnail are those that the same function gives in this process."""
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=90)
    there = workers.submit(prepare, plain, (16, 24), 32, data).result(timeout=120)
    here = prepare(plain, (16, 24), 32, data)
    for name in ("sha256", "phash", "width", "height", "thumbnail"):
        assert getattr(there, name) == getattr(here, name)
    assert list(there.squares) == [16, 24]
    assert all(np.array_equal(there.squares[side], here.squares[side]) for side in there.squares)
    assert isinstance(there, Prepared)
    assert prepare(plain, (16,), 0, data).thumbnail == b""


def test_workers_are_not_forked_and_never_hold_torch(workers: Workers) -> None:
    """A worker has none of this process's modules beyond the light ones, though torch is loaded here."""
    import torch  # noqa: F401 - the point

    loaded = workers.submit(odd_decoders.modules).result(timeout=120)
    assert "PIL.Image" in loaded
    assert "indexer.encoding.prepared" in loaded
    assert not {"torch", "diffusers", "open_clip", "pyarrow", "dash", "duckdb"} & loaded


def test_workers_that_cannot_start_are_one_clear_line() -> None:
    """Where every worker ends at once the build is stopped with a reason; it neither hangs nor rejects its rows."""
    with Workers(1, Limits(memory=1 << 80)) as workers, pytest.raises(BuildError, match="as soon as they start"):
        workers.submit(os.getpid).result(timeout=120)


def test_all_who_wait_for_workers_that_cannot_start_are_told() -> None:
    """Not only the first: files that lie behind others in a pipe that nobody reads are answered too."""
    with Workers(2, Limits(memory=1 << 80)) as workers:
        answers = [workers.submit(len, bytes(300_000)) for _ in range(12)]
        assert all(isinstance(answer.exception(timeout=120), BuildError) for answer in answers)


def test_a_system_that_starts_no_process_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing more can be opened, those who wait are told why, and those who ask when it is over are served."""

    def refused(pool: ProcessPool, *_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with Workers(1) as workers:
        with monkeypatch.context() as patch:
            patch.setattr(ProcessPool, "schedule", refused)
            for _ in range(5):
                with pytest.raises(BuildError, match="Too many open files"):
                    workers.submit(os.getpid).result(timeout=120)
        assert workers.submit(len, b"four").result(timeout=120) == 4


def test_few_large_files_make_workers_busy() -> None:
    """What waits is told by its bytes as well as by its number, so that nobody brings more than should be held."""
    with Workers(1, preload=("odd_decoders",)) as workers:
        nap = workers.submit(odd_decoders.napping, b"")
        answers = [workers.submit(len, bytes(20 * MIB)) for _ in range(6)]
        assert workers.is_busy
        assert nap.result(timeout=120) == 0
        assert [answer.result(timeout=120) for answer in answers] == [20 * MIB] * 6
        assert not workers.is_busy


def test_closing_answers_all_who_wait() -> None:
    """Whoever waits for a file when the workers are stopped is told at once, not left to wait for ever."""
    workers = Workers(1, Limits(seconds=60))
    answers = [workers.submit(odd_decoders.treacherous, b"sleep") for _ in range(3)]
    time.sleep(0.2)
    started = time.monotonic()
    workers.close()
    assert all(answer.cancelled() for answer in answers)
    assert workers.submit(os.getpid).cancelled()
    assert time.monotonic() - started < 5


def test_nothing_starts_before_it_is_needed() -> None:
    """Making and leaving workers that get nothing to do starts no process and no thread."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Workers(2):
        assert {child.pid for child in psutil.Process().children(recursive=True)} == before


ORPHANS = """
import os, time
import odd_decoders, psutil
from explorer.confinement import Limits
from explorer.decoding import Workers
workers = Workers(2, Limits(seconds=1))
workers.submit(os.getpid).result()
spinning = workers.submit(odd_decoders.treacherous, b"spin")
time.sleep(0.2)
while len(children := psutil.Process().children(recursive=True)) < 3:
    time.sleep(0.02)
print(*(child.pid for child in children), flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    """SIGKILL the process that owns the workers: the idle one ends, and the one that spins is ended by its seconds."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    orphans = [int(pid) for pid in done.stdout.split()]
    assert len(orphans) >= 3  # two workers, and the server that started them
    deadline = time.monotonic() + 120
    while any(map(psutil.pid_exists, orphans)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in orphans if psutil.pid_exists(pid)]


def test_workers_do_not_load_the_program(tmp_path: Path) -> None:
    """A script that decodes at its top level works, and runs once: its workers do not load it."""
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from explorer.decoding import isolated_picture\n"
        "from explorer.errors import PictureError\n"
        f"Path({str(tmp_path / 'runs')!r}).open('a').write('once ')\n"
        "try:\n    isolated_picture(b'x')\nexcept PictureError as error:\n    print(error.reason)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == RejectReason.NOT_A_PICTURE, done.stderr
    assert (tmp_path / "runs").read_text() == "once "


def test_an_upload_is_decoded_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """`isolated_picture` gives what `open_picture` gives, or its reason, and this process opens nothing."""
    noise = np.random.default_rng(2).integers(0, 255, (30, 40, 4), np.uint8)
    data = encoded(Image.fromarray(noise), "PNG")
    expected = np.asarray(open_picture(data))

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("the picture is opened here")

    monkeypatch.setattr(Image, "open", opened)
    assert np.array_equal(np.asarray(isolated_picture(data)), expected)
    with pytest.raises(PictureError) as caught:
        isolated_picture(EPS)
    assert caught.value.reason is RejectReason.NOT_A_PICTURE


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
