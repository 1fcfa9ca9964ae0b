"""What makes the command line easy: examples that work, words of other tools, variables, completion, colours, a log."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sslops.cli.main import VERBS, command, run
from sslops.cli.words import ELSEWHERE, meant
from sslops.errors import ExitCode, SslopsError
from sslops.system.debug_log import LOG
from sslops.system.log_file import logging_to
from sslops.system.processes import without_secrets
from tests.world.ops import PROJECT

OTHER_VARIABLES = {
    "SSLOPS_ENABLED",
    "SSLOPS_JOB",
    "SSLOPS_PAGES",
    "SSLOPS_RUN",
    "SSLOPS_ARTIFACTS",
    "SSLOPS_SSH_CONFIG",
    "SSLOPS_SSH_KEY",
    "SSLOPS_SIGNING_KEY",
    "SSLOPS_FORGE_TOKEN",
    "SSLOPS_DNS_TOKEN",
}
"""What means something else, or is a secret."""


def verb(name: str) -> click.Command:
    """Return a verb as the command line has it, each option with its variable."""
    found = command.get_command(click.Context(command), name)
    assert isinstance(found, click.Command)
    return found


def examples(name: str) -> list[list[str]]:
    """Return the words of each example in the help of a verb, without those of the shell."""
    lines = [line.strip() for line in (verb(name).epilog or "").splitlines()]
    return [shlex.split(line.partition(" > ")[0]) for line in lines if line.startswith("sslops ")]


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_examples_that_can_be_typed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`epilog=options.examples(...)`: each is a line of this verb, with options and values that it takes."""
    monkeypatch.chdir(tmp_path)
    found = examples(name)

    assert [] != found, f"sslops {name} --help has no example: epilog=options.examples(...)"
    for program, first, *words in found:
        assert ("sslops", name) == (program, first)
        for word in words:
            # What an example names need not be there.
            if "/" in word or "." in word:
                monkeypatch.setattr(click.Path, "convert", lambda _self, value, *_: Path(value))
        with verb(name).make_context(name, words, parent=click.Context(command, info_name="sslops")) as context:
            assert [] == context.args


def test_every_option_has_a_variable_of_its_own() -> None:
    """`SSLOPS_VERB_OPTION`; none is a secret's, which would vanish, nor one that means something else."""
    options = [each for name in VERBS for each in verb(name).params if isinstance(each, click.Option)]
    names = [each.envvar for each in options if isinstance(each.envvar, str)]
    assert (len(options), len(names)) == (len(names), len(set(names)))
    assert set(names) == set(without_secrets(dict.fromkeys(names, "1")))
    assert set() == OTHER_VARIABLES & {*names, *(str(each.envvar) for each in command.params)}


def test_a_variable_is_as_good_as_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values, a flag, and what a program reads of a failure that asked for JSON by its variable."""
    monkeypatch.setenv("SSLOPS_DIR", str(tmp_path))
    monkeypatch.setenv("SSLOPS_DHPARM_GROUP", "ffdhe2048 ffdhe3072")
    assert 0 == run(["dhparm", str(tmp_path / "dh")])
    assert {"dh-ffdhe2048.pem", "dh-ffdhe3072.pem"} <= {path.name for path in (tmp_path / "dh").iterdir()}

    capsys.readouterr()
    monkeypatch.setenv("SSLOPS_CHECK_JSON", "1")
    assert ExitCode.USAGE == run(["check"])
    assert ExitCode.USAGE == json.loads(capsys.readouterr().out)["exit_code"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["-renew"], "sslops renew --apply"),
        (["--roll"], "sslops roll --apply"),
        (["-s"], "sslops status"),
        (["-certs-prod"], "sslops deploy --apply"),
        (["certonly", "-d", "example.com"], "sslops renew --apply (docs/from-certbot.md)"),
        (["depoly"], "did you mean sslops deploy"),
        (["xyzzy"], "sslops --help"),
    ],
)
def test_words_of_other_tools_lead_to_ours(words: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever types what ssl-mgr or certbot would take is told what to type here; so is a slip."""
    code = run(words)
    said = capsys.readouterr().err

    assert (ExitCode.USAGE, f"sslops: error: no verb '{words[0]}'") == (code, said.splitlines()[0])
    assert said.splitlines()[1].startswith(f"  hint: {hint}")


@pytest.mark.parametrize("word", sorted(ELSEWHERE))
def test_what_a_foreign_word_leads_to_can_be_typed(word: str) -> None:
    """The verb exists, and each option is one of its own."""
    hint = meant(word, VERBS).hint or ""
    for part in hint.partition(" (docs/")[0].partition("; ")[0].split(", "):
        program, *rest = part.split()
        names = [each for each in rest if not each.startswith("-") and each in VERBS]
        if program == "sslops" and names:
            options = {name for each in verb(names[0]).params for name in each.opts} | {"--help"}
            own = rest[rest.index(names[0]) :]
            assert set() == {each for each in own if each.startswith("--")} - options, hint


def test_bash_completes_verbs_options_and_services(tmp_path: Path) -> None:
    """The script is sourced by a real bash, which then asks the program."""
    (tmp_path / "inventory/example.com").mkdir(parents=True)
    (tmp_path / "inventory/example.com/mail-ec.yaml").touch()
    script = """
        source <(sslops completion bash)
        complete -p sslops
        asks() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _sslops_completion sslops
            echo "${COMPREPLY[@]}"
        }
        asks sslops rep; asks sslops deploy --for; asks sslops renew example; asks sslops publish --accept ns-l
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {"PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert [
        "complete -o nosort -F _sslops_completion sslops",
        "report",
        "--force-restart --forget",
        "example.com example.com/mail-ec",
        "ns-lagging",
    ] == done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the program; where the shell is installed it takes the script for its own."""
    assert 0 == run(["completion", shell])
    script = capsys.readouterr().out
    (tmp_path / "script").write_text(script)

    assert "_SSLOPS_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(tmp_path / "script")], timeout=60, check=True)


def test_the_manual_page_is_sound_roff() -> None:
    """man and mandoc, where they are installed, have nothing to warn of; each verb is in it."""
    page = PROJECT / "docs/sslops.1"
    text = page.read_text()

    assert [] == [name for name in VERBS if f'.SS "sslops {name} ' not in text]
    if shutil.which("man"):
        warned = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", str(page)],
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "" == warned.stderr
    if shutil.which("mandoc"):
        subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], timeout=60, check=True)


def test_colours_are_asked_for_or_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--color always` colours a pipe too, even with NO_COLOR; `never` and a pipe have none."""
    assert 0 == run(["init", str(tmp_path / "ops")])
    capsys.readouterr()
    shown = {}
    monkeypatch.setenv("NO_COLOR", "1")
    for color in ("always", "never", "auto"):
        run(["-C", str(tmp_path / "ops"), "--color", color, "plan"])
        shown[color] = capsys.readouterr().out

    assert "\x1b[1mrenew\x1b[0m" in shown["always"]
    assert shown["never"] == shown["auto"]
    assert "\x1b" not in shown["auto"]


def test_a_log_has_every_step_and_is_its_owners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs with how they ended, what was said, and how the verb ended; -v writes the steps to stderr."""
    log = tmp_path / "debug.log"
    assert 0 == run(["init", str(tmp_path / "ops")])
    capsys.readouterr()
    code = run(["-C", str(tmp_path / "ops"), "-v", "--log", str(log), "plan"])
    lines, said = log.read_text().splitlines(), capsys.readouterr()

    assert 0o600 == log.stat().st_mode & 0o777
    assert any(": rev-parse" in line and line.endswith("s") and "exit code 0" in line for line in lines)
    assert any("says: nothing was changed; --apply does it" in line for line in lines)
    assert lines[-1].endswith(f"ends with exit code {code}")
    assert "exit code 0" in said.err
    assert 1 == said.err.count("nothing was changed; --apply does it")
    assert "exit code 0" not in said.out


def test_a_log_that_cannot_be_written_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody looks for a log that was never there."""
    assert ExitCode.USAGE == run(["--log", str(tmp_path / "no/such/log"), "schema"])
    assert "debug" not in capsys.readouterr().out


def test_what_looks_like_a_secret_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although nothing that writes to the log should know one: variables, keys, tokens, passwords in URLs."""
    monkeypatch.setenv("SSLOPS_FORGE_TOKEN", "hunter2hunter2")
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"
    secrets = ["hunter2hunter2", key, "AGE-SECRET-KEY-1QQPZRY9X8", "glpat-abcdefghijkl"]
    with logging_to(tmp_path / "log", None):
        for secret in secrets:
            LOG.debug("it is %s", secret)
        LOG.debug("at https://me:s3cret@git.example.com/x")
        LOG.debug("ends", exc_info=SslopsError("the token hunter2hunter2 is wrong"))
    text = (tmp_path / "log").read_text()

    assert [] == [secret for secret in (*secrets, "MIGHAgEA", "s3cret") if secret in text]
    assert 6 <= text.count("***")
    assert "https://***@git.example.com/x" in text
