"""A PostgreSQL server for the tests: started by the first test that needs it, shared by all worker processes, and
stopped after the last. It runs without fsync, because the tests don't test PostgreSQL's own durability.
"""

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

FOLDER = "TESTS_OF_A_SERVER"
"""The environment variable by which worker processes know the folder of the one server."""
USER, PASSWORD = "owner", "p@ss/word of the owner"
FAST_OPTIONS = ("fsync=off", "full_page_writes=off", "max_connections=200", "autovacuum=off", "log_min_messages=fatal")


class NoServer(Exception):
    """There is no PostgreSQL on this machine."""


def program(name: str) -> str:
    """One of PostgreSQL's programs: on PATH, or where Debian keeps it."""
    places = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise NoServer(f"{name} was not found: install PostgreSQL to run this")
    return found


class Server:
    """One server process on a port of its own, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    def create(self) -> None:
        """Create its files. PostgreSQL refuses to run as root, so for root they belong to the user nobody."""
        self.folder.chmod(0o755)
        self.data.mkdir()
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            (self.folder / "port").write_text(str(free.getsockname()[1]))
        if os.getuid() == 0:
            for path in (self.data, secret):
                shutil.chown(path, "nobody")
        self._run(
            program("initdb"), "--pgdata", str(self.data), "--username", USER, "--pwfile", str(secret),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def start(self) -> None:
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.data}"]
        flags = " ".join(f"-c {option}" for option in (*options, *FAST_OPTIONS))
        log = str(self.data / "log")
        self._run(program("pg_ctl"), "--pgdata", str(self.data), "--log", log, "--wait", "--options", flags, "start")

    def stop(self, how: str = "immediate") -> None:
        if (self.data / "postmaster.pid").exists():
            self._run(program("pg_ctl"), "--pgdata", str(self.data), "--mode", how, "--wait", "stop")

    def url(self, name: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{quote(user)}:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"

    def new_database(self, *, like: str = "/template0", name: str = "") -> str:
        """The address of an empty database, or of one `like` another; under a new name, or that of an address."""
        name = name.rpartition("/")[2] or f"bot_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like.rpartition('/')[2]}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, *command: str) -> None:
        user = {"user": pwd.getpwnam("nobody").pw_uid, "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE if "initdb" in command[0] else subprocess.DEVNULL,  # a server keeps what it inherits
            stderr=subprocess.STDOUT if "initdb" in command[0] else subprocess.DEVNULL,
            cwd="/",
            timeout=60,
            **(user if os.getuid() == 0 else {}),
        )
        if done.returncode:
            log = self.data / "log"
            raise RuntimeError(f"{command}: {done.stdout!r} {log.read_text() if log.exists() else ''}")


def shared_server() -> Server:
    """The server of this test run, started by the first caller. Raises NoServer."""
    program("initdb"), program("pg_ctl")
    folder = run_folder()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = Server(folder / "server")
        if not server.folder.exists():
            server.folder.mkdir()
            server.create()
            server.start()
            stop_with(int((folder / "run").read_text()), server)
    return server


def stop_with(pid: int, server: Server) -> None:
    """Stop the server when the test run is killed: a shell process waits for that."""
    gone = f"while kill -0 {pid} 2>/dev/null; do sleep 1; done"
    stop = f"kill -QUIT $(head -n 1 {server.data}/postmaster.pid) && rm -rf {server.folder.parent}"
    devnull = subprocess.DEVNULL
    subprocess.Popen(
        ["sh", "-c", f"{gone}; {stop}"], stdin=devnull, stdout=devnull, stderr=devnull, start_new_session=True
    )


def create_folder() -> None:
    """Before the workers start: a folder for all of them, named by an environment variable."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="tests-of-a-server-")
        folder = Path(os.environ[FOLDER])
        folder.chmod(0o755)
        (folder / "run").write_text(str(os.getpid()))


def run_folder() -> Path:
    """The folder of the test run."""
    return Path(os.environ[FOLDER])


def remove_folder() -> None:
    """After the workers ended."""
    folder = Path(os.environ.pop(FOLDER))
    if (folder / "server").exists():
        Server(folder / "server").stop()
    shutil.rmtree(folder)


@contextmanager
def own_server() -> Iterator[Server]:
    """A second server, for a test that stops it."""
    with tempfile.TemporaryDirectory(prefix="tests-of-a-server-") as folder:  # in pytest's own, root alone may look
        server = Server(Path(folder))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
