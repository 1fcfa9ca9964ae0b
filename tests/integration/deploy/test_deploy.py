"""`sslops deploy` on a whole site: two servers behind sshd, each with a listener that re-reads only when restarted.

The mail service has no DANE here unless a test says so, so that a renewal may be rolled at once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.launching import Launched
from tests.world.site import HOSTS, MAIL_EC, RESTART

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.ops import Finished
    from tests.world.site import Site

ONE, TWO = HOSTS
OUTCOME = "6"
"""The number of the effect that says how it went: two looks, the intent and two payloads come before it."""
WITHOUT_DANE = "".join(line for line in MAIL_EC.splitlines(keepends=True) if not line.startswith("dane_tls"))
ONLY_NEW_FAILS = """\
#!/bin/sh
echo restart >> {folder}/attempts
grep -q {generation} {curr}/info && exit 3
exec {restart}
"""


@pytest.fixture
def plain(start_site: Callable[..., Site]) -> Site:
    """Return a site without DANE, its first certificates live on `main`."""
    site = start_site(files={"inventory/example.com/mail-ec.yaml": WITHOUT_DANE})
    site.sslops("renew", "--apply").succeeded()
    site.sslops("roll", "--apply").succeeded()
    return site


@pytest.fixture
def served(plain: Site) -> Site:
    """Return the same site after both hosts serve the first certificate, and a second one is live on `main`."""
    plain.sslops("deploy", "--apply").succeeded()
    plain.sslops("renew", "example.com:mail-ec", "--force", "--apply").succeeded()
    plain.sslops("roll", "--apply").succeeded()
    return plain


def curr(site: Site) -> str:
    """Return the generation of mail-ec that `main` says."""
    line = site.ops.show("main", "state/example.com/mail-ec/slots.yaml").splitlines()[0]
    return line.partition(": ")[2].strip('"')


def held(site: Site, host: str) -> str:
    """Return the generation whose files *host* serves."""
    info = site.hosts[host].prod_cert_dir / "example.com/mail-ec/curr/info"
    return info.read_text().splitlines()[0].partition(": ")[2].strip('"')


def entry(site: Site, host: str) -> str:
    """Return the line of mail-ec in the ledger's entry of *host*."""
    lines = site.ops.show("ledger", f"hosts/{host}.yaml").splitlines()
    return next(line.strip() for line in lines if "mail-ec" in line)


def is_settled(site: Site, host: str) -> bool:
    """Whether the ledger says that *host* serves `main`'s curr, shown by its port."""
    return f'may_serve: ["{curr(site)}"]' in entry(site, host) and 'proof: "port"' in entry(site, host)


def fail_with_the_new_one(site: Site, host: str) -> None:
    """Let the restart on *host* fail while its files are those of `main`'s curr, and note each attempt."""
    folder = site.hosts[host].folder
    script = ONLY_NEW_FAILS.format(
        folder=folder,
        generation=curr(site),
        curr=site.hosts[host].prod_cert_dir / "example.com/mail-ec/curr",
        restart=site.mail[host].restart_cmd,
    )
    site.hosts[host].install(RESTART, script)


def attempts(site: Site, host: str) -> int:
    """Return how often a restart was attempted since `fail_with_the_new_one`."""
    return len((site.hosts[host].folder / "attempts").read_text().splitlines())


def test_hosts_serve_what_main_says_and_the_port_proves_it(plain: Site) -> None:
    """Each is restarted once; the next run has nothing to do, asks no host and writes nothing."""
    done = plain.sslops("deploy", "--apply").succeeded()

    assert done.stdout.startswith("deploy: 4 done\n")
    assert [True, True] == [is_settled(plain, host) for host in HOSTS]
    assert [("done",), ("done",)] == [plain.mail[host].restarts for host in HOSTS]
    assert 1 == len(set(plain.served().values()))

    before, logs = plain.ops.refs(), [plain.hosts[host].log for host in HOSTS]
    assert "nothing to do" in plain.sslops("deploy", "--apply").succeeded().stdout
    assert before == plain.ops.refs()
    assert logs == [plain.hosts[host].log for host in HOSTS]


def test_a_dry_run_changes_nothing(plain: Site) -> None:
    """Without `--apply` no host is contacted and nothing is pushed."""
    before = plain.ops.refs()
    shown = plain.sslops("deploy", "--detailed-exitcode")

    assert 6 == shown.exit_code
    assert "serve" in shown.stdout
    assert before == plain.ops.refs()
    assert not any("Accepted" in host.log for host in plain.hosts.values())


def test_a_restart_that_fails_goes_back_once_and_then_waits(served: Site) -> None:
    """The host serves the previous certificate; the other host is not affected; no run tries again before its time."""
    before = held(served, ONE)
    fail_with_the_new_one(served, ONE)
    shown = served.sslops("deploy", "--apply")

    assert 1 == shown.exit_code
    assert f"'{ONE}': a restart failed, everything went back" in shown.stderr
    assert (before, curr(served)) == (held(served, ONE), held(served, TWO))
    assert f'may_serve: ["{before}"]' in entry(served, ONE)
    assert 'failures: "1"' in entry(served, ONE)
    assert is_settled(served, TWO)
    assert 2 == attempts(served, ONE)

    refs = served.ops.refs()
    waiting = served.sslops("deploy", "--apply", "--detailed-exitcode")
    assert 4 == waiting.exit_code
    assert "restart or verification failed once" in waiting.stdout
    assert (2, refs) == (attempts(served, ONE), served.ops.refs())

    served.hosts[ONE].install(RESTART, f"#!/bin/sh\nexec {served.mail[ONE].restart_cmd}\n")
    served.sslops("deploy", "--host", ONE, "--apply").succeeded()
    assert is_settled(served, ONE)


def test_a_port_that_goes_on_showing_the_old_one_goes_back(served: Site) -> None:
    """The restart command claims success, the port says otherwise: the files go back, and the ledger says so."""
    before = held(served, ONE)
    served.hosts[ONE].install(RESTART, "#!/bin/sh\nexit 0\n")
    shown = served.sslops("deploy", "--apply")

    assert 1 == shown.exit_code
    assert f"port {served.mail[ONE].smtp_port} of '{ONE}' shows" in shown.stderr
    assert before == held(served, ONE)
    assert f'may_serve: ["{before}"], ' in entry(served, ONE)
    assert 'failures: "1"' in entry(served, ONE)
    assert is_settled(served, TWO)


def test_the_first_files_stay_where_the_daemon_cannot_start_yet(plain: Site) -> None:
    """The ledger says that they may be served, the message what to configure; the named command then settles it."""
    plain.hosts[ONE].install(RESTART, "#!/bin/sh\nexit 1\n")
    shown = plain.sslops("deploy", "--host", ONE, "--apply")

    assert 1 == shown.exit_code
    assert f"'{ONE}': a restart failed; the files are there for the first time, and stay" in shown.stderr
    assert f"{plain.hosts[ONE].prod_cert_dir}/example.com/mail-ec/curr/" in shown.stderr
    assert f"sslops deploy --host {ONE} --apply" in shown.stderr
    assert f'may_serve: [null, "{curr(plain)}"]' in entry(plain, ONE)
    assert curr(plain) == held(plain, ONE)

    plain.hosts[ONE].install(RESTART, f"#!/bin/sh\nexec {plain.mail[ONE].restart_cmd}\n")
    plain.sslops("deploy", "--host", ONE, "--apply").succeeded()
    assert is_settled(plain, ONE)


def test_other_modes_of_files_reach_a_settled_host(plain: Site) -> None:
    """The next deploy carries them out, and finds a group that does not exist before anything changes."""
    plain.sslops("deploy", "--apply").succeeded()
    inventory = plain.ops.show("main", "inventory/sslops.yaml")

    def deploy(files: str) -> Finished:
        text = inventory.replace("    restart_cmd:", f"    files: {{{files}}}\n    restart_cmd:", 1)
        plain.ops.edit({"inventory/sslops.yaml": text})
        return plain.sslops("deploy", "--apply")

    refused = deploy("group: nobody-has-this")
    assert 1 == refused.exit_code
    assert "invalid group: ':nobody-has-this'" in refused.stderr
    assert [True, True] == [is_settled(plain, host) for host in HOSTS]

    deploy('key_mode: "0640"').succeeded()
    keys = [plain.hosts[host].prod_cert_dir / "example.com/mail-ec/curr/privkey.pem" for host in HOSTS]
    assert [0o640, 0o640] == [key.stat().st_mode & 0o777 for key in keys]
    assert 'files: ": 0640"' in entry(plain, ONE)
    assert [True, True] == [is_settled(plain, host) for host in HOSTS]
    assert "nothing to do" in plain.sslops("deploy", "--apply").succeeded().stdout


def test_dh_parameters_reach_a_settled_host_once(plain: Site) -> None:
    """The class names them; no daemon is restarted for them, and the next run has nothing to do."""
    plain.sslops("deploy", "--apply").succeeded()
    restarts = [plain.mail[host].restarts for host in HOSTS]
    text = plain.ops.show("main", "inventory/sslops.yaml")
    text = text.replace("    restart_cmd:", "    dhparm: [ffdhe3072, ffdhe2048]\n    restart_cmd:", 1)
    plain.ops.edit({"inventory/sslops.yaml": text})
    done = plain.sslops("deploy", "--apply").succeeded()
    folders = [plain.hosts[host].prod_cert_dir / "example.com/dh" for host in HOSTS]

    assert "dhparm" in done.stdout
    assert ["dh-ffdhe3072.pem"] * 2 == [str((folder / "dhparam.pem").readlink()) for folder in folders]
    assert restarts == [plain.mail[host].restarts for host in HOSTS]
    assert [True, True] == [is_settled(plain, host) for host in HOSTS]
    assert "nothing to do" in plain.sslops("deploy", "--apply").succeeded().stdout


def test_a_host_that_is_down_delays_only_itself(served: Site) -> None:
    """It fails the run, gets no intent, has no backoff, and the first run that reaches it brings it up to date."""
    before = entry(served, ONE)
    served.hosts[ONE].stop()
    shown = served.sslops("deploy", "--apply")

    assert 1 == shown.exit_code
    assert f"'{ONE}': unreachable" in shown.stderr
    assert shown.stdout.startswith("deploy: 1 done, 1 failed\n")
    assert before == entry(served, ONE)
    assert is_settled(served, TWO)

    refs = served.ops.refs()
    assert 1 == served.sslops("deploy", "--apply").exit_code
    assert refs == served.ops.refs()

    served.hosts[ONE].start()
    served.sslops("deploy", "--apply").succeeded()
    assert is_settled(served, ONE)


def test_a_changed_host_key_is_refused(plain: Site) -> None:
    """Nothing is sent to a server that shows another key than the reviewed one."""
    plain.hosts[ONE].change_host_key()
    shown = plain.sslops("deploy", "--apply")

    assert 1 == shown.exit_code
    assert f"'{ONE}': host key refused" in shown.stderr
    assert not list(plain.hosts[ONE].prod_cert_dir.iterdir())
    assert is_settled(plain, TWO)


def test_a_lost_ledger_is_rebuilt_by_asking(plain: Site) -> None:
    """Every host is asked with a number above all it has seen; nothing is sent, and nothing restarted."""
    plain.sslops("deploy", "--apply").succeeded()
    plain.ops.git("push", "--quiet", "origin", ":ledger")
    plain.sslops("deploy", "--apply").succeeded()

    assert [True, True] == [is_settled(plain, host) for host in HOSTS]
    assert [("done",), ("done",)] == [plain.mail[host].restarts for host in HOSTS]
    assert ['seq: "2"', 'seq: "2"'] == [
        plain.ops.show("ledger", f"hosts/{host}.yaml").splitlines()[0] for host in HOSTS
    ]


def test_a_run_killed_before_its_outcome_is_finished_by_the_next(served: Site) -> None:
    """The ledger says "either"; the next run asks, and does not restart what was restarted."""
    with Launched(served.ops, "deploy", "--apply", options=["--kill-before", OUTCOME]) as launched:
        assert -9 == launched.finish().exit_code
    assert 2 == len(served.mail[ONE].restarts)
    assert not is_settled(served, ONE)

    served.sslops("deploy", "--apply").succeeded()
    assert [True, True] == [is_settled(served, host) for host in HOSTS]
    assert 2 == len(served.mail[ONE].restarts)


def test_a_forced_restart_restarts_and_proves_again(plain: Site) -> None:
    """Nothing is sent; each host restarts once more and is shown to serve the same."""
    plain.sslops("deploy", "--apply").succeeded()
    plain.sslops("deploy", "--force-restart", "--apply").succeeded()

    assert [("done", "done")] * 2 == [plain.mail[host].restarts for host in HOSTS]
    assert [True, True] == [is_settled(plain, host) for host in HOSTS]


def test_a_forced_restart_fills_a_server_that_was_reinstalled(plain: Site) -> None:
    """The ledger says that it serves; the host has nothing: what it should have is sent again."""
    plain.sslops("deploy", "--apply").succeeded()
    shutil.rmtree(plain.hosts[ONE].prod_cert_dir / "example.com")
    (plain.hosts[ONE].prod_cert_dir / ".sslops-seq").unlink()
    plain.sslops("deploy", "--force-restart", "--host", ONE, "--apply").succeeded()

    assert curr(plain) == held(plain, ONE)
    assert is_settled(plain, ONE)


def test_a_command_follows_every_copy(plain: Site, tmp_path: Path) -> None:
    """`post_copy_cmd` runs on the runner with the host's name, for hosts that were copied to; a failure is told."""
    noted = tmp_path / "noted"
    command = tmp_path / "after-copy"
    command.write_text(f'#!/bin/sh\necho "$@" >> {noted}\nexit 7\n')
    command.chmod(0o755)
    settings = plain.ops.show("main", "inventory/sslops.yaml")
    hooked = settings.replace("min_roll_mins: 0", f"min_roll_mins: 0, post_copy_cmd: [[{ONE}, {command} --for]]")
    plain.ops.edit({"inventory/sslops.yaml": hooked})
    shown = plain.sslops("deploy", "--apply")

    assert 1 == shown.exit_code
    assert f"post_copy_cmd for '{ONE}': exit code 7" in shown.stderr
    assert f"--for {ONE}\n" == noted.read_text()
    assert [True, True] == [is_settled(plain, host) for host in HOSTS]

    plain.sslops("deploy", "--apply").succeeded()
    assert f"--for {ONE}\n" == noted.read_text()


def test_a_host_that_left_is_forgotten_with_consent_only(plain: Site) -> None:
    """Its entry stays and waits; the refusal prints the words that end it."""
    plain.sslops("deploy", "--apply").succeeded()
    settings = plain.ops.show("main", "inventory/sslops.yaml").splitlines(keepends=True)
    plain.ops.edit({"inventory/sslops.yaml": "".join(line for line in settings if f"host: {ONE}" not in line)})

    waiting = plain.sslops("deploy", "--apply").succeeded()
    assert f"sslops deploy --forget {ONE} ends that" in " ".join(waiting.stdout.split())
    refused = plain.sslops("deploy", "--forget", ONE, "--apply")
    assert 3 == refused.exit_code
    assert f"--accept host-removed={ONE}" in refused.stdout + refused.stderr
    assert "mail-ec" in entry(plain, ONE)

    plain.sslops("deploy", "--forget", ONE, "--accept", f"host-removed={ONE}", "--apply").succeeded()
    assert f"hosts/{ONE}.yaml" not in plain.ops.git("ls-tree", "-r", "--name-only", "origin/ledger")


def test_no_key_is_ever_in_a_command_line_or_an_environment(plain: Site) -> None:
    """What every process of the machine shows while keys travel is free of them."""
    for listener in plain.mail.values():
        listener.slow_restarts(1.5)
    words, seen = [sys.executable, "-m", "sslops", "-C", str(plain.ops.folder), "deploy", "--apply"], set()
    # From its very beginning a process of its own: `ops.popen` forks, and /proc shows how the other one began.
    process = subprocess.Popen(words, env=plain.ops.environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        seen |= {
            shown_by(pid, name)
            for pid in Path("/proc").iterdir()
            if pid.name.isdecimal()
            for name in ("cmdline", "environ")
        }

    assert 0 == process.returncode

    keys = [(host.prod_cert_dir / "example.com/mail-ec/curr/privkey.pem").read_bytes() for host in plain.hosts.values()]
    secrets = {line for key in keys for line in key.splitlines()[1:-1]}
    assert any(b"sslops-receiver" in content for content in seen)
    assert not any(secret in content for secret in secrets for content in seen)


def test_with_dane_a_port_that_mixes_old_and_new_is_not_settled(start_site: Callable[..., Site]) -> None:
    """Old workers still answer for a while: the host counts as settled only once they are gone."""
    site = start_site()
    for words in (("renew",), ("roll",), ("deploy",)):
        site.sslops(*words, "--apply").succeeded()
    for listener in site.mail.values():
        listener.linger(3)
    site.sslops("deploy", "--force-restart", "--apply").succeeded()

    assert [True, True] == [is_settled(site, host) for host in HOSTS]
    assert 1 == len(set(site.served().values()))


def shown_by(process: Path, name: str) -> bytes:
    """Return the arguments or the environment of a process, empty when it is gone."""
    try:
        return (process / name).read_bytes()
    except OSError:
        return b""
