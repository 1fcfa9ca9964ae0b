"""What GitHub's API and Gitea's have in common, since the latter was made after the former: paths and bodies.

Below `/repos/OWNER/NAME` both edit and close a request by the same call, and keep comments in the table of issues.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sslops.proposals.forges.answer import document, required

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sslops.proposals.forges.client import Desk
    from sslops.proposals.forges.rest import Rest


@dataclass(frozen=True)
class RepositoryApi:
    """One repository behind the API at *address*."""

    desk: Desk
    address: str

    @cached_property
    def _rest(self) -> Rest:
        raise NotImplementedError

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The repository as the API shows it."""
        return document(self._call("GET", ""))

    @cached_property
    def _login(self) -> str | None:
        """The account behind the token; null when the token may not ask for it: an app's, or without `read:user`."""
        found = self._rest.found("/user", 403, 404)
        return None if found is None else required(found, "login")

    def edit(self, number: int, *, title: str, body: str) -> None:
        """Set both."""
        self._call("PATCH", f"/pulls/{number}", {"title": title, "body": body})

    def close(self, number: int) -> None:
        """Close it."""
        self._call("PATCH", f"/pulls/{number}", {"state": "closed"})

    def add_comment(self, number: int, text: str) -> None:
        """Add one."""
        self._call("POST", f"/issues/{number}/comments", {"body": text})

    def edit_comment(self, number: int, comment: int, text: str) -> None:  # noqa: ARG002  (all comments share numbers)
        """Replace one."""
        self._call("PATCH", f"/issues/comments/{comment}", {"body": text})

    def add_issue(self, title: str, body: str) -> None:
        """Open one."""
        self._call("POST", "/issues", {"title": title, "body": body})

    def edit_issue(self, number: int, title: str, body: str) -> None:
        """Replace both."""
        self._call("PATCH", f"/issues/{number}", {"title": title, "body": body})

    @property
    def _path(self) -> str:
        return f"/repos/{quote(self.desk.project)}"

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401  (JSON)
        return self._rest.call(method, f"{self._path}{path}", body)

    def _found(self, path: str, *absent: int) -> Any:  # noqa: ANN401  (JSON)
        """Return the answer to a question; null where it is refused with one of *absent* (none given: 404)."""
        return self._rest.found(f"{self._path}{path}", *absent)

    def _pages(self, path: str, wishes: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        return self._rest.pages(f"{self._path}{path}", wishes)
