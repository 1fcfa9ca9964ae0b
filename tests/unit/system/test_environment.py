"""What children of ours inherit."""

from __future__ import annotations

import pytest

from sslops.system.processes import without_secrets

KEYS = ("SOPS_AGE_KEY", "SSLOPS_SSH_KEY", "SSLOPS_SIGNING_KEY", "VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY")
OURS = ("SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN")
OF_THE_JOB = (
    *("CI_JOB_TOKEN", "CI_JOB_JWT", "CI_JOB_JWT_V2", "CI_REPOSITORY_URL", "CI_REGISTRY_PASSWORD"),
    *("DOCKER_AUTH_CONFIG", "GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN", "FORGEJO_TOKEN"),
)
HARMLESS = {"PATH": "/bin", "HOME": "/root", "SSH_AUTH_SOCK": "/run/agent", "CI_JOB_URL": "https://git.example.com/1"}


@pytest.mark.parametrize("name", [*KEYS, *OURS, *OF_THE_JOB])
def test_a_child_that_needs_no_secret_is_given_none(name: str) -> None:
    """Neither ours nor what a forge puts into every job."""
    assert HARMLESS == without_secrets(HARMLESS | {name: "x"})


@pytest.mark.parametrize("name", [*KEYS, *OURS])
def test_what_talks_to_a_remote_is_given_no_key_and_none_of_our_tokens(name: str) -> None:
    """git gets them through a pipe; credential helpers of the user's keep what they read."""
    assert HARMLESS | {"GH_TOKEN": "y"} == without_secrets(HARMLESS | {name: "x", "GH_TOKEN": "y"}, keep_tokens=True)
