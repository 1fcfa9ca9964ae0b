"""The files of generations, many at once: what deploy sends and publish hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.state.paths import CERT, CHAIN, CSR, PRIVKEY, generation_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sslops.model.names import GenerationId, ServiceId


@dataclass(frozen=True, slots=True)
class GenerationDocuments:
    """The files of one generation as they lie in the repository; null: there is none. The key is still encrypted."""

    csr: bytes | None
    cert: bytes | None
    chain: bytes | None
    privkey_sops: bytes | None


def read_documents(
    blobs: Callable[[Iterable[str]], Mapping[str, bytes]],
    trees: Sequence[Mapping[str, str]],
    wanted: Iterable[tuple[ServiceId, GenerationId]],
) -> dict[tuple[ServiceId, GenerationId], GenerationDocuments]:
    """Return the files of each of *wanted*, each file from the first of *trees* (path to blob hash) that has it."""
    keys = list(dict.fromkeys(wanted))
    hashes = {key: [_find(trees, *key, name) for name in (CSR, CERT, CHAIN, PRIVKEY)] for key in keys}
    contents = blobs({sha for found in hashes.values() for sha in found if sha})
    return {
        key: GenerationDocuments(*(contents[sha] if sha else None for sha in found)) for key, found in hashes.items()
    }


def _find(trees: Sequence[Mapping[str, str]], service: ServiceId, generation: GenerationId, name: str) -> str | None:
    path = generation_path(service, generation, name)
    return next((tree[path] for tree in trees if path in tree), None)
