"""Serves a folder as GitHub Pages serves a project: below a path, compressed, with its 404.html for what is missing."""

import gzip
import mimetypes
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TEXT = ("text/", "application/json", "application/javascript", "application/xml", "image/svg")
FONTS = (".woff2", ".woff", ".ttf")


@dataclass(frozen=True)
class Answer:
    """The response to one request: the bytes of head and body, and of the body before it was compressed."""

    path: str
    status: int
    sent: int
    uncompressed: int

    @property
    def is_font(self):
        return self.path.endswith(FONTS)


@cache
def compressed(path, changed):  # `changed` makes a cache miss of a modified file
    return gzip.compress(Path(path).read_bytes(), compresslevel=6, mtime=0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, status = self.file()
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        body = path.read_bytes() if path.is_file() else b"not found"
        head = [("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)]
        size = len(body)
        if kind.startswith(TEXT) and path.is_file() and "gzip" in self.headers.get("Accept-Encoding", ""):
            head.append(("Content-Encoding", "gzip"))
            body = compressed(str(path), path.stat().st_mtime_ns)
        self.answer(status, head, body, size)

    def file(self):
        """The file that a request asks for, and the status of the answer."""
        path = unquote(urlsplit(self.path).path)
        below = path.removeprefix(self.server.root_prefix)
        wanted = self.server.root / below
        if wanted.is_dir():
            wanted /= "index.html"
        if path.startswith(self.server.root_prefix) and ".." not in below and wanted.is_file():
            return wanted, 200
        return self.server.root / "404.html", 404

    def answer(self, status, head, body, size):
        self.send_response(status)
        for name, value in [*head, ("Content-Length", str(len(body))), ("Cache-Control", "max-age=600")]:
            self.send_header(name, value)
        sent = sum(map(len, self._headers_buffer)) + 2 + len(body)
        self.server.answers.append(Answer(urlsplit(self.path).path, status, sent, size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Be silent: what matters is kept in `answers`."""


class Server(ThreadingHTTPServer):
    """A server of a folder at the path `root_prefix`, with a list of its responses.

    The site under test is in that folder, or in one of its folders, `version`.
    """

    daemon_threads = True

    def __init__(self, root, root_prefix, version):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        self.root_prefix = root_prefix
        self.folder = root / version
        self.prefix = root_prefix + version
        self.answers = []

    def handle_error(self, request, client_address):
        """Ignore errors: a browser may close its connection at any time."""

    def address(self, page=""):
        """The address of a page of the site under test."""
        return f"http://127.0.0.1:{self.server_port}{self.prefix}{page}"


@contextmanager
def serving(root, root_prefix="/", version=""):
    with Server(Path(root), root_prefix, version) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
