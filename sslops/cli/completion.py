"""`sslops completion`: the script by which a shell completes verbs, options, services and hosts."""

from __future__ import annotations

import click

from sslops.cli import options
from sslops.cli.options import current
from sslops.errors import ExitCode

VARIABLE = "_SSLOPS_COMPLETE"
"""In which the script says what a shell wants to know; `sslops.cli.main` answers."""
SHELLS = ("bash", "zsh", "fish")


@click.command(
    name="completion",
    epilog=options.examples(
        "sslops completion bash > ~/.local/share/bash-completion/completions/sslops",
        "sslops completion zsh > ~/.zfunc/_sslops",
        "sslops completion fish > ~/.config/fish/completions/sslops.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> ExitCode:
    """Print the script that lets SHELL complete verbs, options, services and hosts.

    A shell started afterwards completes; of zsh the folder has to be in fpath, before compinit.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        message = f"nothing completes for '{shell}'"
        raise click.BadParameter(message)
    current().show(found(click.get_current_context().find_root().command, {}, "sslops", VARIABLE).source().rstrip())
    return ExitCode.DONE
