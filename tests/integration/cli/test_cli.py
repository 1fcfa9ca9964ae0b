"""The command line: a lazy table of verbs, one style of errors, exit codes that scripts can rely on."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from sslops import __version__
from sslops.app.session import Session
from sslops.cli import options
from sslops.cli.main import VERBS, command, module_of, run
from sslops.cli.options import current
from sslops.errors import ExitCode, Location, Refused, SslopsError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HEAVY = {"acme", "requests", "git", "dns", "jinja2", "pydantic", "cryptography", "rich", "yaml"}


def sslops(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as a shell would."""
    return subprocess.run(
        [sys.executable, "-m", "sslops", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Register a verb `status` that writes down what it was called with."""
    calls: list[dict[str, object]] = []

    @click.command("status")
    @options.targets()
    @options.apply()
    @options.json()
    @options.markdown()
    @options.fetch()
    @options.plan_digest()
    @options.detailed_exitcode()
    @options.accept()
    def verb(**given: object) -> ExitCode:
        calls.append({**given, "session": current()})
        if given["apply"]:
            raise Refused("'x' is not 'y'", where=Location("a.yaml", 2, 3), hint="sslops plan")
        return ExitCode.WAITING

    monkeypatch.setattr("importlib.import_module", lambda _name: type("Module", (), {"command": verb}))
    return calls


def test_help_loads_nothing_heavy() -> None:
    """Who asks for help does not wait for libraries, and no verb is imported."""
    program = (
        "import sys\nfrom sslops.__main__ import main\nsys.argv = ['sslops', '--help']\nmain()\n"
        "print('loaded', *sorted(name for name in sys.modules if '.' not in name or name.startswith('sslops.cli')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())

    assert set() == loaded & (HEAVY | {"click", "subprocess", "dataclasses"} | {module_of(verb) for verb in VERBS})


def test_help_names_every_verb() -> None:
    """The table is the help."""
    shown = sslops("--help").stdout

    assert [] == [verb for verb in VERBS if f"\n  {verb} " not in shown]


def test_every_verb_has_its_module_and_every_module_its_verb() -> None:
    """A verb in the help that cannot be called would be a lie, and so would a hidden one."""
    shared = {"__init__", "main", "options", "output", "stage"}
    modules = {path.stem for path in Path(importlib.import_module("sslops.cli").__path__[0]).glob("*.py")}
    callable_ones = {stem for stem in modules - shared if hasattr(_module(stem), "command")}

    assert {module_of(verb) for verb in VERBS} == {f"sslops.cli.{stem}" for stem in callable_ones}


def _module(stem: str) -> object:
    return importlib.import_module(f"sslops.cli.{stem}")


def test_version_is_said_in_one_line() -> None:
    """`sslops --version` is what a bug report begins with."""
    assert f"sslops {__version__}\n" == sslops("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "no verb 'nonsense'"),
        (["-C", "/nonexistent", "status"], "'/nonexistent' does not exist"),
        (["init"], "missing argument 'DIR'"),
        (["init", "--wrong", "x"], "no such option"),
    ],
)
def test_a_wrong_command_line_is_told_in_the_style_of_all_errors(arguments: list[str], complaint: str) -> None:
    """Exit 2, a lower-case sentence, and the help that knows better."""
    done = sslops(*arguments)
    first, *rest = done.stderr.splitlines()

    assert (2, "") == (done.returncode, done.stdout)
    assert first.startswith("sslops: error: ")
    assert complaint in first
    assert rest[-1].startswith("  hint: sslops")
    assert rest[-1].endswith("--help")


def test_no_verb_at_all_shows_the_help_on_stderr() -> None:
    """It is a usage error that explains itself."""
    done = sslops()

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Usage: sslops")


def test_a_verb_receives_what_was_given(probe: list[dict[str, object]], tmp_path: Path) -> None:
    """Shared options arrive under their documented names, the moment in whole seconds of UTC."""
    digest = "sha256:" + "0" * 64
    words = f"-C {tmp_path} status example.com:a,b --json --fetch --plan {digest}"
    code = run(f"{words} --accept ns-unreachable=192.0.2.9 --accept clock".split())
    (call,) = probe
    session = call["session"]

    assert ExitCode.WAITING == code
    assert isinstance(session, Session)
    assert ("UTC", 0) == (session.now.tzname(), session.now.microsecond)
    assert (("example.com:a,b",), True, True, digest) == (
        call["targets"],
        call["as_json"],
        call["fetch"],
        call["plan_digest"],
    )
    assert [("ns-unreachable", "192.0.2.9"), ("clock", None)] == [
        (consent.hazard, consent.subject)
        for consent in call["accept"]  # type: ignore[attr-defined]
    ]


def test_a_foreseen_failure_is_shown_and_gives_its_own_code(
    probe: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    """What, where and the command that helps; no traceback."""
    code = run(["status", "--apply"])

    assert ExitCode.REFUSED == code
    assert "sslops: error: 'x' is not 'y'\n  at a.yaml:2:3\n  hint: sslops plan\n" == capsys.readouterr().err


def test_a_hazard_that_does_not_exist_cannot_be_accepted(
    probe: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt consent must not look like one; the list of names is in the answer."""
    code = run(["status", "--accept", "ns-unreachble"])

    assert ExitCode.USAGE == code
    assert "'ns-unreachble' is no hazard; hazards are tlsa-missing," in capsys.readouterr().err


def test_a_plan_is_named_by_its_whole_digest(
    probe: list[dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A shortened digest is not a promise."""
    assert ExitCode.USAGE == run(["status", "--plan", "sha256:abc"])
    assert "'sha256:abc' is not" in capsys.readouterr().err


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was foreseen is made pretty."""

    def broken(_name: str) -> None:
        raise KeyError("who knows")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(KeyError):
        run(["status"])


def test_what_a_peer_said_is_harmless_in_a_traceback_too() -> None:
    """No runner obeys it, and no terminal; the way to the bug is all there."""
    bug = "def bug(_):\n    raise ValueError('it said\\n::add-mask::x\\nand ##[error]y \\x1b[2J')\n"
    program = f"from sslops.cli import main as cli\n{bug}cli.run = bug\ncli.main()\n"
    environ = {"PATH": os.environ["PATH"], "GITHUB_ACTIONS": "true"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert "Traceback" in done.stderr
    assert "ValueError: it said\n\\::add-mask::x\nand ## [error]y \\x1b[2J\n" in done.stderr


def test_hostile_words_in_an_error_do_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What peers say is shown, not obeyed."""

    def hostile(_name: str) -> None:
        raise SslopsError("peer said '\x1b[2J'")

    monkeypatch.setattr("importlib.import_module", hostile)

    assert ExitCode.FAILED == run(["status"])
    assert "sslops: error: peer said '\\x1b[2J'\n" == capsys.readouterr().err


def test_an_interruption_is_no_crash(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130, as a shell expects, and one line."""

    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupted)

    assert 130 == run(["status"])
    assert "sslops: interrupted" == capsys.readouterr().err.strip()


def test_a_reader_that_goes_away_is_no_crash() -> None:
    """`sslops ... | head -1` ends quietly."""
    program = "import sys\nfrom sslops.cli.options import Session\nfrom pathlib import Path\nfrom datetime import *\n"
    program += "session = Session(Path(), datetime.now(UTC))\nfor n in range(100000): session.show('x' * 80)\n"
    shell = f"'{sys.executable}' -c \"$PROGRAM\" | head -1"
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        env={"PROGRAM": program, "PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "" == done.stderr


def test_closed_streams_are_no_crash() -> None:
    """A daemon may start us without any."""
    shell = f"exec '{sys.executable}' -m sslops --version >&- 2>&-"

    assert 0 == subprocess.run(["/bin/sh", "-c", shell], timeout=60, check=False).returncode


def test_the_repository_is_found_upwards(tmp_path: Path) -> None:
    """As git does, sslops works from any folder inside."""
    (tmp_path / "inventory/deep").mkdir(parents=True)
    (tmp_path / "inventory/sslops.yaml").touch()

    assert tmp_path.resolve() == Session(tmp_path / "inventory/deep", NOW).folder


def test_no_repository_is_told_with_both_ways_out(tmp_path: Path) -> None:
    """Whoever is in the wrong folder learns how to name the right one, or to make one."""
    with pytest.raises(SslopsError) as caught:
        _ = Session(tmp_path, NOW).folder

    assert ExitCode.USAGE == caught.value.exit_code
    assert "sslops init DIR" in (caught.value.hint or "")


def test_a_job_has_no_author(tmp_path: Path) -> None:
    """Without a terminal nobody is credited."""
    assert Session(tmp_path, NOW).author is None


def test_the_command_is_named_sslops() -> None:
    """click shows this name in usage lines."""
    assert "Certificates as reviewed commits" in (command.help or "")


@pytest.mark.parametrize("set_by", ["on", "true", "1", "True"])
def test_a_box_of_a_form_counts_however_a_forge_sends_it(monkeypatch: pytest.MonkeyPatch, set_by: str) -> None:
    """The form of an old Forgejo sends `on`, an API `true`; without a reason the job is refused, so it was read."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("SSLOPS_RENEW_FORCE", set_by)
    done = sslops("renew")

    assert (ExitCode.USAGE, True) == (done.returncode, "a forced renewal in a job needs a reason" in done.stderr)


def test_a_reason_for_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a forge makes of a box that it did not understand: a dispatch that would do nothing, and be green."""
    monkeypatch.setenv("SSLOPS_RENEW_FORCE", "false")
    monkeypatch.setenv("SSLOPS_RENEW_REASON", "the key was on a laptop")
    done = sslops("renew", "--apply")

    assert ExitCode.USAGE == done.returncode
    assert "a reason was given for nothing" in done.stderr
    assert 'on Forgejo before 14 by "on"' in done.stderr
