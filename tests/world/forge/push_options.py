r"""GitLab's push options: a merge request by `git push -o merge_request.create`, with no right to the API.

GitLab docs "Push options"; `Gitlab::PushOptions` and `MergeRequests::PushOptionsHandlerService`: the options are one
flat list (git itself refuses new lines; "\n" in a description becomes one, gitlab!87020); what does not fit is a
warning, the push stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.world.forge.repository import NOTHING
from tests.world.forge.requests import AutoMerge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.world.forge.people import User
    from tests.world.forge.project import Project
    from tests.world.forge.requests import MergeRequest

MOST_BRANCHES = 10


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What stands behind `merge_request.`: name to value, empty for a bare word."""

    wishes: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> PushOptions:
        """Read what git hands to a hook."""
        count = int(environment.get("GIT_PUSH_OPTION_COUNT", "0"))
        said = [environment[f"GIT_PUSH_OPTION_{index}"] for index in range(count)]
        pairs = (one.partition("=") for one in said)
        wishes = {name.removeprefix("merge_request."): value for name, _, value in pairs if "merge_request." in name}
        if "description" in wishes:
            wishes["description"] = wishes["description"].replace("\\n", "\n")
        return cls(wishes)

    def carry_out(self, project: Project, user: User, changes: list[tuple[str, str, str]]) -> str:
        """Open or change the request of every pushed branch; return what git shows to the person."""
        heads = [(ref, new) for ref, _, new in changes if ref.startswith("refs/heads/") and new != NOTHING]
        branches = [ref.removeprefix("refs/heads/") for ref, _ in heads]
        branches = [branch for branch in branches if branch != project.default_branch]
        if not self.wishes:
            return "".join(self._hint(project, branch) for branch in branches)
        if len(branches) > MOST_BRANCHES:
            return _warning(f"Too many branches pushed ({len(branches)} were pushed, limit is {MOST_BRANCHES})")
        return "".join(self._apply(project, user, branch) for branch in branches)

    def _hint(self, project: Project, branch: str) -> str:
        request = project.find(branch)
        if request is None:
            return f"\nTo create a merge request for {branch}, visit:\n  {project.web_url}/-/merge_requests/new\n\n"
        return f"\nView merge request for {branch}:\n  {project.web_url}/-/merge_requests/{request.number}\n\n"

    def _apply(self, project: Project, user: User, branch: str) -> str:
        target = self.wishes.get("target") or project.default_branch
        if project.repository.head(target) is None:
            return _warning(f"Branch {target} does not exist")
        request = project.find(branch, self.wishes.get("target")) or project.find(branch)
        if request is None:
            if "create" not in self.wishes:
                return _warning(
                    f"A merge_request.create push option is required to create a merge request for branch {branch}"
                )
            request = self._open(project, user, branch, target)
            if request is None:
                return _warning(f"Validation failed: no commits between {target} and {branch}")
        self._change(project, user, request)
        return self._hint(project, branch)

    def _open(self, project: Project, user: User, branch: str, target: str) -> MergeRequest | None:
        commits = project.repository.log(f"{target}..{branch}")
        if not commits:
            return None
        first = commits[-1]
        title = self.wishes.get("title") or first.title
        return project.open(
            user, branch, target, title, self.wishes.get("description", first.message.partition("\n")[2].strip())
        )

    def _change(self, project: Project, user: User, request: MergeRequest) -> None:
        request.title = self.wishes.get("title") or request.title
        request.body = self.wishes.get("description", request.body)
        request.target = self.wishes.get("target") or request.target
        if "draft" in self.wishes and not project.manners.is_draft(request):
            request.title = f"Draft: {request.title}"
        if {"auto_merge", "merge_when_pipeline_succeeds"} & self.wishes.keys():
            deletes = "remove_source_branch" in self.wishes
            project.schedule(request, AutoMerge(user, "merge", None, deletes))


def _warning(text: str) -> str:
    return f"\nWARNINGS:\n\nError encountered with push options: {text}\n\n"
