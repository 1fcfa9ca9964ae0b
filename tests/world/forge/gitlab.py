"""GitLab's REST API, version 4, as far as merge requests need it.

The order of the checks of a merge and their answers (401, 405, 422, 409) are those of `lib/api/merge_requests.rb`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.world.forge.api import Api as BaseApi
from tests.world.forge.calls import Page, Refusal, Reply, Routes, links, page_of
from tests.world.forge.people import Role
from tests.world.forge.protection import Unmet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from tests.world.forge.calls import Call
    from tests.world.forge.people import Token
    from tests.world.forge.project import Project
    from tests.world.forge.requests import Issue

COMMENT_LIMIT = 1_000_000
READ = ("api", "read_api")
WRITE = ("api",)
BROKEN = {Unmet.EMPTY, Unmet.GONE, Unmet.CONFLICT, Unmet.CLOSED}
"""What no auto-merge waits for (`MergeRequest#broken?`)."""

routes = Routes()
PROJECT = "/projects/{project}"
REQUEST = PROJECT + "/merge_requests/{number}"


class Api(BaseApi):
    """In front of a forge that behaves like GitLab."""

    routes = routes

    def project_name(self, call: Call) -> str | None:
        """A path segment behind `projects`, percent-encoded or a number."""
        words = call.path.split("/")
        if words[1:2] != ["projects"] or len(words) < 3:
            return None
        name = unquote(words[2])
        return next((known.name for known in self.forge.projects if str(known.number) == name), name)

    def project(self, name: str) -> Project:
        """By path or number."""
        by_number = next((known.name for known in self.forge.projects if str(known.number) == name), name)
        return super().project(by_number)

    def authenticate(self, call: Call) -> Token:
        """`PRIVATE-TOKEN`, `JOB-TOKEN` or a bearer token."""
        bearer = call.headers.get("Authorization", "").removeprefix("Bearer ")
        secret = call.headers.get("PRIVATE-TOKEN") or call.headers.get("JOB-TOKEN") or bearer
        if not secret and call.method == "GET" and call.project:
            raise self.not_found("Project")
        token = self.forge.people.holder(secret)
        if token is None:
            raise Refusal(401, {"message": "401 Unauthorized"})
        if token.is_expired:
            raise Refusal(
                401,
                {
                    "error": "invalid_token",
                    "error_description": "Token is expired. You can either do re-authorization or token refresh.",
                },
            )
        if token.is_job:
            raise self.not_found("Project") if call.method == "GET" else Refusal(401, {"message": "401 Unauthorized"})
        return token

    def check_scopes(self, call: Call, needs: tuple[str, ...]) -> None:
        """403 `insufficient_scope`; then the role: reporters do not write."""
        assert call.token is not None
        if needs and not call.token.scopes & set(needs):
            text = "The request requires higher privileges than provided by the access token."
            raise Refusal(403, {"error": "insufficient_scope", "error_description": text, "scope": needs[0]})
        if call.is_write and call.user.role < Role.DEVELOPER:
            raise Refusal(403, {"message": "403 Forbidden"})

    def not_found(self, what: str = "") -> Refusal:
        """`404 Project Not Found`."""
        return Refusal(404, {"message": f"404 {what} Not Found" if what else "404 Not Found"})

    def no_route(self, call: Call) -> Refusal:
        """A path that exists, by another method, is a 405."""
        return (
            Refusal(405, {"error": "405 Not Allowed"})
            if routes.knows(call.path)
            else Refusal(404, {"error": "404 Not Found"})
        )


def paged(call: Call, items: Sequence[Any], show: Callable[[Any], Any]) -> Reply:
    """Answer one page with GitLab's headers."""
    page = page_of(items, call, "per_page", 20, 100)
    return Reply(200, [show(item) for item in page.items], _page_headers(call, page))


def _page_headers(call: Call, page: Page) -> dict[str, str]:
    after = page.number + 1 if page.number < page.last else None
    before = page.number - 1 if page.number > 1 else None
    targets = {"prev": before, "next": after, "first": 1, "last": page.last}
    return {
        "X-Page": str(page.number),
        "X-Per-Page": str(page.size),
        "X-Total": str(page.total),
        "X-Total-Pages": str(page.last),
        "X-Next-Page": str(after or ""),
        "X-Prev-Page": str(before or ""),
    } | links(call, page, "per_page", {name: number for name, number in targets.items() if number})


def require(call: Call, *names: str) -> None:
    """Refuse a call that leaves one of *names* out."""
    missing = [f"{name} is missing" for name in names if not call.argument(name)]
    if missing:
        raise Refusal(400, {"error": ", ".join(missing)})


def check_text(text: str, limit: int, what: str) -> None:
    """Refuse a text that is too long."""
    if len(text) > limit:
        raise Refusal(
            400,
            {
                "message": {
                    what.lower(): [f"is too long ({len(text)} characters). The maximum size is {limit} characters."]
                }
            },
        )


def labels_in(said: Any) -> tuple[str, ...]:
    """Read labels, which come as a list or with commas."""
    words: Iterable[str] = said if isinstance(said, list) else str(said or "").split(",")
    return tuple(sorted({word.strip() for word in words if word.strip()}))


def edit_texts(call: Call, issue: Issue, limit: int) -> None:
    """Set title, description and labels as far as the call names them."""
    body = call.argument("description")
    if body is not None:
        check_text(str(body), limit, "Description")
        issue.body = str(body)
    issue.title = str(call.argument("title") or issue.title)
    if call.argument("labels") is not None:
        issue.labels = labels_in(call.argument("labels"))


def change_state(within: Project, issue: Issue, call: Call) -> None:
    """Close or reopen as `state_event` says."""
    wish = call.argument("state_event")
    if wish in {"close", "reopen"}:
        within.set_open(issue, call.user, is_open=wish == "reopen")
    issue.updated_at = within.now
