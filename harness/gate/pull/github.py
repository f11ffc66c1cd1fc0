"""The few requests to GitHub's API that a comment needs: https://docs.github.com/rest/issues/comments."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

import urllib3
from pydantic import TypeAdapter, ValidationError

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.exit_codes import ExitCode
from coordbench.harness.gate.pull.events import Owner, Pull
from coordbench.harness.gate.pull.markdown import plain

T = TypeVar("T")
_PER_PAGE, _MOST_PAGES = 100, 100
_HINTS = {
    401: "is the token in GITHUB_TOKEN valid?",
    403: "the job needs `permissions: pull-requests: write`",
    404: "is GITHUB_REPOSITORY right, and may the token read it?",
}


class ApiAway(UsageError):
    """The API did not answer, or with an error of its own: worth another try."""

    code = ExitCode.STORE_LOST


@dataclass(frozen=True)
class Comment:
    """A comment on a pull request."""

    id: int
    user: Owner | None = None
    body: str | None = None
    html_url: str = ""


@dataclass(frozen=True)
class GitHub:
    """A repository by its API, with a token that is never printed."""

    url: str
    repository: str
    token: str = field(repr=False)
    seconds: float = 20.0
    """How long one answer is waited for [s]."""

    def pull(self, number: int) -> Pull:
        """A pull request by its number."""
        return self._ask("GET", f"pulls/{number}", Pull)

    def pulls(self, owner: str, branch: str) -> list[Pull]:
        """The open pull requests that come from a branch of an account."""
        query = urlencode({"state": "open", "head": f"{owner}:{branch}", "per_page": _PER_PAGE})
        return self._ask("GET", f"pulls?{query}", list[Pull])

    def comments(self, pull: int) -> list[Comment]:
        """All comments on a pull request, page by page."""
        comments: list[Comment] = []
        for page in range(1, _MOST_PAGES + 1):
            path = f"issues/{pull}/comments?per_page={_PER_PAGE}&page={page}"
            some = self._ask("GET", path, list[Comment])
            comments += some
            if len(some) < _PER_PAGE:
                break
        return comments

    def create(self, pull: int, body: str) -> Comment:
        """Comment on a pull request."""
        return self._ask("POST", f"issues/{pull}/comments", Comment, body)

    def edit(self, comment: Comment, body: str) -> Comment:
        """Change the text of a comment."""
        return self._ask("PATCH", f"issues/comments/{comment.id}", Comment, body)

    def _ask(self, method: str, path: str, kind: type[T], body: str | None = None) -> T:
        url = f"{self.url.rstrip('/')}/repos/{quote(self.repository)}/{path}"
        headers = {
            "Accept": "application/vnd.github+json", "Authorization": f"Bearer {self.token}",
            "User-Agent": "coordbench", "X-GitHub-Api-Version": "2022-11-28",
        }  # fmt: skip
        content = None if body is None else json.dumps({"body": body}).encode()
        try:  # no redirect is followed: the token is for this address
            answer = urllib3.request(
                method, url, headers=headers, body=content, retries=False, redirect=False, timeout=self.seconds
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiAway(f"{method} {url}: no answer ({type(error).__name__})") from error
        _check(f"{method} {url}", answer)
        try:
            return TypeAdapter(kind).validate_json(answer.data)
        except ValidationError as error:
            raise UsageError(f"{method} {url}: the answer is not what GitHub's API gives") from error


def _check(request: str, answer: urllib3.BaseHTTPResponse) -> None:
    """Raise for any answer but a good one: ApiAway where another try may help."""
    if answer.status in (200, 201):
        return
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    if answer.status >= 500 or answer.status == 429 or (answer.status == 403 and limited):
        raise ApiAway(f"{request}: status {answer.status}, the API is away or asks for fewer requests")
    hint = _HINTS.get(answer.status, "")
    raise UsageError("; ".join(filter(None, (f"{request}: status {answer.status}, {_message(answer.data)}", hint))))


def _message(data: bytes) -> str:
    try:
        content = json.loads(data)
    except ValueError:
        return "no reason given"
    return plain(str(content.get("message", "")) if isinstance(content, dict) else "", 200) or "no reason given"
