"""A PostgreSQL server of one's own, on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Postgres:
    """A running server; use it as a context, which ends it and removes its folder."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # the name of a socket may be 107 bytes long
        self.home.chmod(0o755)
        self.user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.user:
            shutil.chown(self.home, "postgres")
        self._tool("initdb", "-A", "trust", "-U", "coordbench")
        self.url = f"postgresql+psycopg://coordbench@/postgres?host={self.home}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        shutil.rmtree(self.home)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        where = f"-c listen_addresses= -c unix_socket_directories={self.home}"
        self._tool("pg_ctl", "-w", "-l", str(self.home / "log"), "-o", where, "start")

    def stop(self) -> None:
        """End the server as a crash would."""
        self._tool("pg_ctl", "-w", "-m", "immediate", "stop")

    def _tool(self, name: str, *arguments: str) -> None:
        command = [*self.user, str(BINARIES[-1] / name), "-D", str(self.home / "data"), *arguments]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
