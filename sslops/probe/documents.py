"""Small public documents over http, within bounds: a CRL, a policy."""

from __future__ import annotations

import time

from sslops.system.extras import require

MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_SECONDS = 20.0


def fetch(url: str, *, max_bytes: int = MAX_BYTES, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """Return the document at *url*; OSError when it is not there, too large, or not whole in time.

    Redirections are not followed and nothing is sent that could tell who asks: no cookie, no `.netrc`.
    """
    require("acme")
    import requests

    end = time.monotonic() + timeout_seconds
    content = b""
    with requests.Session() as session:
        session.trust_env = False
        with session.get(url, stream=True, timeout=timeout_seconds, allow_redirects=False) as answer:
            if answer.status_code != requests.codes.ok:
                raise OSError(f"the answer is {answer.status_code}")
            for part in answer.iter_content(65536):
                content += part
                if len(content) > max_bytes:
                    raise OSError(f"it is larger than {max_bytes // 1024} KiB")
                if time.monotonic() > end:
                    raise TimeoutError("it does not end")
    return content
