"""A stand-in of GitHub's API on 127.0.0.1: pull requests and comments, answered over HTTP as GitHub documents it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

Json = dict[str, object]
BOT = "github-actions[bot]"
TOKEN = "a-token-of-a-test"


@dataclass
class Stand:
    """What the stand-in holds: the requests it got, and the statuses that it answers with before all else."""

    url: str = ""
    pulls: dict[int, Json] = field(default_factory=dict)
    comments: dict[int, list[Json]] = field(default_factory=dict)
    faults: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """Statuses that are answered although the request was carried out."""
    requests: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def open(self, number: int, sha: str, *, head: str = "someone:branch", state: str = "open") -> None:
        """Open a pull request."""
        self.pulls[number] = {
            "number": number,
            "state": state,
            "head": {"sha": sha, "label": head},
            "title": "a change",
        }
        self.comments.setdefault(number, [])

    def say(self, number: int, body: str, login: str = BOT) -> Json:
        """Write a comment."""
        serial = 1000 + sum(map(len, self.comments.values()))
        comment: Json = {"id": serial, "body": body, "user": {"login": login}, "html_url": f"https://x/{serial}"}
        self.comments[number].append(comment)
        return comment

    def bodies(self, number: int) -> list[str]:
        """The texts of the comments on a pull request."""
        return [str(comment["body"]) for comment in self.comments[number]]

    def answer(self, method: str, target: str, content: Json) -> tuple[int, object]:
        """Status and JSON of one request."""
        url = urlparse(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = url.path.removeprefix("/repos/owner/name/")
        if method == "GET" and path == "pulls":
            chosen = [pull for pull in self.pulls.values() if pull["head"]["label"] == query["head"]]  # type: ignore[index]
            return 200, [pull for pull in chosen if pull["state"] == query["state"]]
        if method == "GET" and (one := re.fullmatch(r"pulls/(\d+)", path)) and int(one[1]) in self.pulls:
            return 200, self.pulls[int(one[1])]
        if (many := re.fullmatch(r"issues/(\d+)/comments", path)) and int(many[1]) in self.comments:
            number = int(many[1])
            if method == "POST":
                return 201, self.say(number, str(content["body"]))
            first, size = int(query["page"]) - 1, int(query["per_page"])
            return 200, self.comments[number][first * size : (first + 1) * size]
        edited = re.fullmatch(r"issues/comments/(\d+)", path)
        for comment in (comment for some in self.comments.values() for comment in some):
            if method == "PATCH" and edited and comment["id"] == int(edited[1]):
                comment["body"] = content["body"]
                return 200, comment
        return 404, {"message": "Not Found"}


class Handler(BaseHTTPRequestHandler):
    """Answers with what the stand-in says."""

    protocol_version = "HTTP/1.1"
    stand: Stand

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        stand = self.stand
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        stand.requests.append(f"{self.command} {self.path}")
        stand.headers = dict(self.headers)
        if stand.faults:
            status, answer = stand.faults.pop(0), {"message": "Resource not accessible <b>@here</b>"}
        else:
            status, answer = stand.answer(self.command, self.path, json.loads(content or b"{}"))
            if stand.after and self.command != "GET":
                status = stand.after.pop(0)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def stand() -> Iterator[Stand]:
    """A stand-in that answers."""
    state = Stand()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"stand": state}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
