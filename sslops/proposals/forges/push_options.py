r"""GitLab's push options: a request that is opened or brought up to date by the very push of its branch.

It takes the right to push (`write_repository`) and none to the API; what became of it cannot be read that way. An
option is one line, and GitLab (15.0 and newer) reads `\n` in a description as a line feed.

>>> from sslops.model.proposal import Kind, Proposal
>>> proposal = Proposal(Kind.TLSA, "main", "f00", "sha256:0", "TLSA", "one\n\ntwo")
>>> request_options(proposal)[-1]
'merge_request.description=one\\n\\ntwo'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslops.model.proposal import Proposal


LONGEST_BYTES = 60_000
"""git hands an option on in one packet of at most 65,516 bytes, and GitLab in one variable of the environment."""
_CUT = "\\n\\n(cut short: an option of git is no longer)"

_AUTO_MERGE = ("merge_request.auto_merge", "merge_request.merge_when_pipeline_succeeds")
"""Its name, and its name in GitLab before 17.11; an option that it does not know it leaves aside."""


def request_options(proposal: Proposal, merges: bool = False) -> tuple[str, ...]:  # noqa: FBT001, FBT002
    """Return the options to push the branch of *proposal* with; the request opens, or takes title and body over.

    *merges*: GitLab is to merge it once its own conditions hold.
    """
    return (
        *(_AUTO_MERGE if merges else ()),
        "merge_request.create",
        f"merge_request.target={proposal.target}",
        f"merge_request.title={' '.join(proposal.title.split())}",
        f"merge_request.description={_on_one_line(proposal.body)}",
    )


def _on_one_line(body: str) -> str:
    """Return *body* with its line feeds as GitLab reads them; a real backslash before an n becomes its entity."""
    text = body.replace("\r\n", "\n").replace("\\n", "&#92;n")
    lines = ["".join(char if char.isprintable() else " " for char in line) for line in text.split("\n")]
    line = "\\n".join(lines)
    encoded = line.encode()
    if len(encoded) <= LONGEST_BYTES:
        return line
    # The mark at the end must stay: it carries the digest.
    *_, mark = line.rstrip().removesuffix("\\n").rpartition("\\n")
    room = LONGEST_BYTES - len(f"{_CUT}\\n\\n{mark}".encode())
    return f"{encoded[:room].decode(errors='ignore').rstrip(chr(92))}{_CUT}\\n\\n{mark}"
