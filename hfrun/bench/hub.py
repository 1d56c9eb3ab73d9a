"""Speed and memory of the local hub, over loopback, with the unmodified huggingface_hub.

    push   ours    upload_file by plain LFS: the client reads and hashes the file and sends it; the
                   hub hashes, writes and flushes it, and commits
           plain   read and hash the file; then read, hash and write a copy, flush it, rename it
    pull   ours    hf_hub_download into an empty cache, then a flush of what it wrote
           plain   read the file, write a copy, flush it
           bound   the same client from a server that does nothing but os.sendfile

Plain copying is what both sides do to the bytes, without a network between them: a push hashes
them twice, a pull not at all. Nothing is sent twice: each turn has a file of its own. Before every
timed part the disk is made to finish what earlier ones left. ``push_ratio`` and ``pull_ratio`` are
the time of plain copying over ours, so 1 would be as fast; they are medians over turns, and the
first turn, in which everything is touched for the first time, is left out. ``pull_bound_ratio`` is
what the client itself leaves possible. Bench is run by hand (``scripts/bench hub``): no test
asserts on time.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfrun.errors import HubError
from hfrun.hub.environment import prepare_client
from lob_backtest.bench import machine
from lob_backtest.command_line import EXIT_DONE, run_command
from lob_backtest.files import write_json
from lob_backtest.progress import announce

WANTED_PEAK_MB = 200
REPO = "alice/bench"
_NAME = "model.safetensors"
_GB, _MB = 1_000_000_000, 1_000_000
_PIECE_BYTES = 1 << 20

_Side = tuple[str, Callable[[], object]]

# Answers every GET with the whole file, and a HEAD as a hub would; run with the file's path.
_BARE_SERVER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
file = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(file).st_size
head = (f'HTTP/1.1 200 OK\\r\\nX-Repo-Commit: {"0" * 40}\\r\\nETag: "bare"\\r\\n'
        f"Content-Length: {size}\\r\\n\\r\\n").encode()
while True:
    connection, _ = listener.accept()
    received = b""
    while piece := connection.recv(65536):
        received += piece
        if received.endswith(b"\\r\\n\\r\\n"):
            connection.sendall(head)
            sent = size if received.startswith(b"HEAD") else 0
            while sent < size:
                sent += os.sendfile(connection.fileno(), file, sent, size - sent)
            received = b""
"""


def transfer_speed(
    folder: Path, endpoint: str, token: str, *, size: int, turns: int
) -> dict[str, Any]:
    """Seconds of every side of pushes and pulls, in turns, and their ratios.

    Args:
        folder: for the files; on the disk of the hub, so that both sides write to the same.
        endpoint: of a hub that nobody else uses.
        size: bytes of the file.
        turns: that are counted; one more goes before.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token)
    api.create_repo(REPO)
    rounds: list[dict[str, float]] = []
    for turn in range(turns + 1):
        seconds = _turn(folder, api, size, number=turn)
        announce(f"turn {turn}/{turns}: " + ", ".join(f"{k} {v:.2f} s" for k, v in seconds.items()))
        rounds += [seconds] if turn else []
    median = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    plain = {"push": "push_plain", "pull": "pull_plain", "pull_bound": "pull_plain"}
    ratios = {
        f"{ours}_ratio": statistics.median(each[other] / each[ours] for each in rounds)
        for ours, other in plain.items()
    }
    speeds = {f"{name}_mb_per_second": size / _MB / value for name, value in median.items()}
    return {"bytes": size, **ratios, **speeds, "seconds": median, "turns": rounds}


def _turn(folder: Path, api: Any, size: int, *, number: int) -> dict[str, float]:
    """Seconds of every side, for a new file; each turn begins with another side."""
    source, copy, cache = folder / _NAME, folder / "copy", folder / "cache"
    _write_random(source, size)
    with _bare_server(source) as bare:
        pushes: list[_Side] = [
            ("push_plain", lambda: _copied(source, copy, hashes=True)),
            (
                "push",
                lambda: api.upload_file(path_or_fileobj=source, path_in_repo=_NAME, repo_id=REPO),
            ),
        ]
        pulls: list[_Side] = [
            ("pull_plain", lambda: _copied(source, copy, hashes=False)),
            ("pull", lambda: _pulled(api.endpoint, api.token, cache, size)),
            ("pull_bound", lambda: _pulled(bare, False, cache, size)),
        ]
        sides = [*_rotated(pushes, number), *_rotated(pulls, number)]
        return {name: _timed(side, (copy, cache)) for name, side in sides}


def _rotated(sides: list[_Side], number: int) -> list[_Side]:
    first = number % len(sides)
    return sides[first:] + sides[:first]


def _pulled(endpoint: str, token: str | bool, cache: Path, size: int) -> None:
    """Download the file with the client, and flush it as plain copying does."""
    from huggingface_hub import hf_hub_download

    path = Path(hf_hub_download(REPO, _NAME, endpoint=endpoint, token=token, cache_dir=cache))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        if file.seek(0, os.SEEK_END) != size:
            raise HubError(f"got {path} of another size than {size} bytes")


def _timed(side: Callable[[], object], leftovers: Sequence[Path]) -> float:
    """Seconds of one side, after the disk has come to rest; what it made is removed again."""
    os.sync()
    started = time.perf_counter()
    side()
    seconds = time.perf_counter() - started
    for path in leftovers:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return seconds


def _copied(source: Path, target: Path, *, hashes: bool) -> None:
    """Plain copying: with ``hashes``, of the bytes as they are read by each of two sides."""
    if hashes:
        sender = hashlib.sha256()
        with source.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                sender.update(piece)
    receiver, partial = hashlib.sha256(), target.with_suffix(".partial")
    with source.open("rb", buffering=0) as file, partial.open("wb", buffering=0) as copy:
        while piece := file.read(_PIECE_BYTES):
            if hashes:
                receiver.update(piece)
            copy.write(piece)
        os.fsync(copy.fileno())
    partial.replace(target)


def _write_random(path: Path, size: int) -> None:
    """A file that differs from all others in every piece, made quickly from one random piece."""
    piece = bytearray(os.urandom(_PIECE_BYTES))
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, _PIECE_BYTES):
            piece[:16] = os.urandom(16)
            file.write(piece[: size - start])


@contextmanager
def _bare_server(file: Path) -> Iterator[str]:
    command = [sys.executable, "-c", _BARE_SERVER, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # it was asked for
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def in_commit_speed(endpoint: str, token: str, *, size: int, turns: int) -> dict[str, Any]:
    """Seconds for one large file inside a commit (base64) and by plain LFS, as medians."""
    from huggingface_hub import HfApi, constants

    api, seconds = HfApi(endpoint=endpoint, token=token), {}
    repo = api.create_repo("alice/in-commit").repo_id
    origin = constants.HF_HUB_USER_AGENT_ORIGIN
    for name, said in (("lfs", origin), ("in_commit", None)):
        constants.HF_HUB_USER_AGENT_ORIGIN = said
        times = []
        for turn in range(turns):
            content = os.urandom(16) + bytes(size - 16)
            os.sync()
            started = time.perf_counter()
            api.upload_file(path_or_fileobj=content, path_in_repo=f"{name}.bin", repo_id=repo)
            times.append(time.perf_counter() - started)
            announce(f"{size // _MB} MB {name}, turn {turn + 1}: {times[-1]:.2f} s")
        seconds[f"{name}_seconds"] = statistics.median(times)
    constants.HF_HUB_USER_AGENT_ORIGIN = origin
    return {"bytes": size, **seconds}


def server_peak_mb() -> float:
    """The most memory that the hub which this process has started held at any time.

    Raises:
        HubError: there is no such process, or no /proc to look into.
    """
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            words = status.with_name("cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if int(fields["PPid"]) == os.getpid() and b"hfrun.hub" in words:
            return int(fields["VmHWM"].split()[0]) * 1024 / _MB
    raise HubError("got no process of the hub in /proc; the memory is measured on Linux only")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``scripts/bench hub``."""
    parser = argparse.ArgumentParser(prog="scripts/bench hub", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--gigabytes", type=float, default=1.0, metavar="N", help="size of the file"
    )
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="of pushes and pulls")
    parser.add_argument("--commits", type=int, default=400, metavar="N", help="of each kind")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="where files are made; default: a temporary folder"
    )
    parser.set_defaults(run=_run)
    return run_command(parser, argv)


def _run(arguments: argparse.Namespace) -> int:
    prepare_client()
    from hfrun.bench.hub_commits import commit_speed
    from hfrun.bench.hub_stores import store_figures
    from hfrun.hub.accounts.tokens import create_token
    from hfrun.hub.serve import running_hub

    size, turns = round(arguments.gigabytes * _GB), arguments.turns
    with tempfile.TemporaryDirectory(dir=arguments.dir) as name:
        folder, root = Path(name), Path(name) / "hub"
        token = create_token(root, "alice")
        with running_hub(root) as hub:
            found = transfer_speed(folder, hub.endpoint, token, size=size, turns=turns)
            found["peak_mb"] = server_peak_mb()
            found["in_commit"] = in_commit_speed(
                hub.endpoint, token, size=min(size, 100 * _MB), turns=turns
            )
            found["peak_mb_in_commit"] = server_peak_mb()
            found["commits_per_second"] = commit_speed(
                hub.endpoint, token, commits=arguments.commits
            )
        found["stores"] = store_figures(folder / "stores", commits=arguments.commits)
    write_json(arguments.json, {"machine": machine(), **found})
    print(
        f"push_ratio {found['push_ratio']:.2f}  pull_ratio {found['pull_ratio']:.2f} "
        f"(the client alone {found['pull_bound_ratio']:.2f})  peak {found['peak_mb']:.0f} MB "
        f"(wanted: below {WANTED_PEAK_MB})"
    )
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
