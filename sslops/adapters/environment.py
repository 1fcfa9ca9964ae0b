"""What a child process may know: the environment without key material, and without tokens it does not need.

>>> sorted(without_secrets({"PATH": "/bin", "SOPS_AGE_KEY": "x", "FORGE_TOKEN": "y"}))
['PATH']
>>> sorted(without_secrets({"PATH": "/bin", "SOPS_AGE_KEY": "x", "FORGE_TOKEN": "y"}, keep_tokens=True))
['FORGE_TOKEN', 'PATH']
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Keys: sops' age identities, the cloud credentials that sops' KMS backends read, ssh keys.
_IDENTITY = re.compile(
    r"SOPS_AGE_.*|SOPS_.*KEY.*|AGE_.*KEY.*|VAULT_TOKEN|AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN)|AZURE_CLIENT_SECRET"
    r"|GOOGLE_(CREDENTIALS|OAUTH_ACCESS_TOKEN)|SSLOPS_(SSH|SIGNING)_KEY",
)
OWN_TOKENS = frozenset({"SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN"})
"""What only this process speaks with; git gets it through a pipe (`git_credentials`)."""
# GitLab writes the job's token into an address, and a registry's passwords into a configuration.
_TOKEN = re.compile(
    r".*(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|PRIVATE_KEY|API_KEY|_JWT)(_.*)?|CI_REPOSITORY_URL|DOCKER_AUTH_CONFIG"
)


def without_secrets(environ: Mapping[str, str], *, keep_tokens: bool = False) -> dict[str, str]:
    """Return *environ* without what opens encrypted files, and unless *keep_tokens* without forge tokens and passwords.

    A child that talks to a remote keeps tokens: credential helpers of the user's read them from there. Our own two are
    never inherited.
    """
    return {name: value for name, value in environ.items() if not _is_secret(name, keep_tokens=keep_tokens)}


def _is_secret(name: str, *, keep_tokens: bool) -> bool:
    if name in OWN_TOKENS or _IDENTITY.fullmatch(name):
        return True
    return not keep_tokens and _TOKEN.fullmatch(name) is not None
