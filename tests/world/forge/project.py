"""One project as people use it: with a browser, by pressing buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.forge.merging import GITHUB_ITSELF
from tests.world.forge.protection import Status, Unmet
from tests.world.forge.requests import Approval, Check
from tests.world.forge.workings import Workings, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.world.forge.calls import Call
    from tests.world.forge.requests import Comment


class Refused(Exception):  # noqa: N818  (what a person is, not an error of ours)
    """The forge does not do what a person asked for; *why* is what it tells them."""

    def __init__(self, why: Iterable[Unmet]) -> None:
        """Say all that is missing."""
        self.why = tuple(why)
        super().__init__(", ".join(self.why) or "refused")


class Project(Workings):
    """`infra/certs` on one forge; made by `Forge`. *by* is a user, who joins as a maintainer when new."""

    @property
    def calls(self) -> list[Call]:
        """Every API call about this project so far."""
        return [call for call in self.forge.calls if call.project == self.name]

    @property
    def writes(self) -> list[str]:
        """Every API call about this project that was meant to change something: `POST merge_requests`."""
        return [call.said for call in self.calls if call.is_write]

    def merge(self, number: int, method: str = "merge", *, by: str = "reviewer") -> str:
        """Press the merge button and return the target's new head; Refused when the forge would not."""
        with self.forge.lock:
            request = self.request(number)
            missing = self.unmet(request)
            if missing:
                raise Refused(missing)
            return self.land(request, method, self.forge.user(by))

    def close(self, number: int, *, by: str = "reviewer") -> None:
        """Close a request without merging it."""
        with self.forge.lock:
            self.set_open(self.request(number), self.forge.user(by), is_open=False)

    def reopen(self, number: int, *, by: str = "reviewer") -> None:
        """Open a closed request again."""
        with self.forge.lock:
            self.set_open(self.request(number), self.forge.user(by), is_open=True)

    def approve(self, number: int, who: str = "reviewer") -> None:
        """Approve the head that a request has now; may set an auto-merge off."""
        with self.forge.lock:
            request = self.request(number)
            user = self.forge.user(who)
            if user.name == request.author.name:
                raise Refused([Unmet.APPROVALS])
            request.approvals = [given for given in request.approvals if given.user.name != who]
            request.approvals.append(Approval(count(), user, request.head, self.now))
            self.try_auto_merges()

    def comment(self, number: int, text: str, *, by: str = "reviewer") -> Comment:
        """Write a comment below a request or issue."""
        with self.forge.lock:
            below = self._requests.get(number) or self.issues[number]
            return self.add_comment(below, self.forge.user(by), text)

    def edit(
        self,
        files: Mapping[str, str | None],
        message: str = "Edit",
        *,
        branch: str = "main",
        start: str | None = "main",
        by: str = "reviewer",
    ) -> str:
        """Commit *files* (null: removed) to *branch* in the browser and return the commit; it starts at *start*."""
        with self.forge.lock:
            store, user = self.repository, self.forge.user(by)
            parent = store.head(branch) or (store.head(start) if start else None)
            made = store.edited(parent, files, message, (user.person, user.person))
            self.move_branch(branch, made, user)
            return made

    def update_branch(self, number: int, *, by: str = "reviewer") -> str:
        """Press "update branch": merge the target into the source branch; return the new head."""
        with self.forge.lock:
            request, user, store = self.request(number), self.forge.user(by), self.repository
            base = store.head(request.target) or ""
            committer = GITHUB_ITSELF if self.manners.closes_when_emptied else user.person
            text = f"Merge branch '{request.target}' into {request.source}"
            tree = store.merged_tree(request.head, base)
            made = store.commit(tree, (request.head, base), text, (user.person, committer))
            self.move_branch(request.source, made, user)
            return made

    def delete_branch(self, branch: str, *, by: str = "reviewer") -> None:
        """Delete a branch in the browser."""
        with self.forge.lock:
            self.move_branch(branch, None, self.forge.user(by))

    def pipeline(self, sha: str, status: str, name: str = "check") -> None:
        """Let the check *name* (on GitLab: a pipeline) of commit *sha* end or start: success, failed, pending."""
        with self.forge.lock:
            number = count()
            url = f"{self.web_url}/-/pipelines/{number}"
            self.checks.append(Check(number, sha, name, Status(status), self.now, url))
            self.try_auto_merges()
