"""A real PostgreSQL server on loopback, of its own, for as long as the tests of a module last."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def server_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``, wherever Debian or a path has them."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((each for each in reversed(folders) if (each / "pg_ctl").is_file()), None)


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server with a database of its own; gives its address.

    PostgreSQL refuses to run as root, so then its Debian user runs it.
    """
    programs = server_programs()
    assert programs is not None
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as name:
        folder, port = Path(name), _free_port()
        options: dict[str, object] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            options = {"user": user.pw_uid, "group": user.pw_gid}

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(programs / program), *arguments],
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                **options,
            )

        data = folder / "data"
        run("initdb", "-D", str(data), "-U", "studies", "--auth=trust", "--no-sync")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
        run("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", settings, "start")
        try:
            yield f"postgresql://studies@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
