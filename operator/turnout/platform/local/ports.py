"""Ports of this machine: free ones, one where surely nobody listens, and who listens on a taken one."""

import socket
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"


class Ports:
    """Free ports, none given twice in a row, so that a dead process's port is not at once somebody else's."""

    def __init__(self) -> None:
        self._given: list[int] = []

    def free(self) -> int:
        while (port := self._offer()) in self._given[-64:]:
            pass
        self._given.append(port)
        return port

    def _offer(self) -> int:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])


class Nowhere:
    """A port that is bound and never listened on: as long as we live, connections to it are refused at once."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind((LOOPBACK, 0))
        self.port = int(self._socket.getsockname()[1])

    def close(self) -> None:
        self._socket.close()


def is_free(host: str, port: int) -> bool:
    """Whether one could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def who_listens(port: int) -> str:
    """`process 123 (nginx)`, or empty where this system does not tell us."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net") / table, port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(_inode(link) in inodes for link in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text('utf-8').strip()})"
    return ""


def _listening(table: Path, port: int) -> set[str]:
    try:
        rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    except OSError:
        return set()
    return {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


def _inode(link: Path) -> str:
    with suppress(OSError):
        return str(link.readlink()).removeprefix("socket:[").removesuffix("]")
    return ""
