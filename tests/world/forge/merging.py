"""The commits that each forge's merge button makes.

GitHub: the merger is the author of a merge commit, the request's author that of a squash, and GitHub itself commits
both; a rebase makes every commit anew in the merger's name. GitLab: the merger commits; a squash is a commit on the
merge base, merged in turn; "rebase" moves the source branch. Gitea, Forgejo: the merger commits everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.world.forge.manners import Dialect
from tests.world.forge.repository import Person

if TYPE_CHECKING:
    from tests.world.forge.people import User
    from tests.world.forge.requests import MergeRequest
    from tests.world.forge.workings import Workings

GITHUB_ITSELF = Person("GitHub", "noreply@github.com")


@dataclass(frozen=True, slots=True)
class Landing:
    """What a merge makes: the new head of the target, of a source that moves, and the commits that stand for it."""

    target: str
    merge_commit: str | None = None
    squash_commit: str | None = None
    source: str | None = None


def land(project: Workings, request: MergeRequest, method: str, user: User, message: str | None) -> Landing:
    """Make the commits of merging *request* by *method*; Conflict when git cannot. No ref is moved."""
    forge = {Dialect.GITHUB: _on_github, Dialect.GITLAB: _on_gitlab}
    base = project.repository.head(request.target) or ""
    return forge.get(project.manners.dialect, _on_gitea)(project, request, method, user, message, base)


def _on_github(
    project: Workings, request: MergeRequest, method: str, user: User, message: str | None, base: str
) -> Landing:
    store = project.repository
    if method == "rebase":
        rebased = store.rebased(base, request.head, user.person)
        return Landing(rebased, merge_commit=rebased)
    tree = store.merged_tree(base, request.head)
    if method == "squash":
        text = message or _squash_message(project, request, base)
        made = store.commit(tree, (base,), text, (request.author.person, GITHUB_ITSELF))
    else:
        owner = project.name.partition("/")[0]
        text = message or f"Merge pull request #{request.number} from {owner}/{request.source}\n\n{request.title}"
        made = store.commit(tree, (base, request.head), text, (user.person, GITHUB_ITSELF))
    return Landing(made, merge_commit=made)


def _squash_message(project: Workings, request: MergeRequest, base: str) -> str:
    commits = project.repository.log("--no-merges", "--reverse", f"{base}..{request.head}")
    if len(commits) == 1:
        title, _, rest = commits[0].message.partition("\n")
        return f"{title} (#{request.number})\n{rest}"
    listed = "\n\n".join(f"* {commit.message}" for commit in commits)
    return f"{request.title} (#{request.number})\n\n{listed}"


def _on_gitlab(
    project: Workings, request: MergeRequest, method: str, user: User, message: str | None, base: str
) -> Landing:
    store = project.repository
    me = (user.person, user.person)
    if method == "rebase":
        rebased = store.rebased(base, request.head, user.person)
        return Landing(rebased, source=rebased)
    head, squashed = request.head, None
    if method == "squash":
        since = store.merge_base(base, request.head) or base
        tree = store.git("rev-parse", f"{request.head}^{{tree}}")
        head = squashed = store.commit(tree, (since,), request.title, (request.author.person, user.person))
    if project.fast_forwards and store.contains(head, base):
        return Landing(head, squash_commit=squashed)
    text = message or (
        f"Merge branch '{request.source}' into '{request.target}'\n\n{request.title}\n\n"
        f"See merge request {project.name}!{request.number}"
    )
    made = store.commit(store.merged_tree(base, head), (base, head), text, me)
    return Landing(made, merge_commit=made, squash_commit=squashed)


def _on_gitea(
    project: Workings, request: MergeRequest, method: str, user: User, message: str | None, base: str
) -> Landing:
    store = project.repository
    if method == "squash":
        text = message or f"{request.title} (#{request.number})"
        tree = store.merged_tree(base, request.head)
        made = store.commit(tree, (base,), text, (request.author.person, user.person))
        return Landing(made, merge_commit=made)
    head = request.head
    if method in {"rebase", "rebase-merge"}:
        head = store.rebased(base, head, user.person)
    if method in {"rebase", "fast-forward-only"}:
        return Landing(head, merge_commit=head)
    title = f"Merge pull request '{request.title}' (#{request.number}) from {request.source} into {request.target}"
    tree = store.merged_tree(base, head)
    made = store.commit(tree, (base, head), message or title, (user.person, user.person))
    return Landing(made, merge_commit=made)
