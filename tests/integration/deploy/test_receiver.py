"""The receiver on a host: fence, switch, restart and rollback, run by a real shell here and behind a real sshd."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sslops.deploy.receiver import Receivers, forced_script, pack, script
from sslops.model.inventory import FileModes, Host
from sslops.model.names import ServiceId
from sslops.model.shipment import Include, Outcome, Restart, Shipment
from sslops.system.clock import SystemClock
from sslops.system.processes import Finished, run_piped
from sslops.system.ssh import LocalShell, Ssh
from tests.unit.deploy.shipments import (
    ISSUED_AT,
    KEY_WORD,
    LATER,
    MAIL,
    NEW,
    OLD,
    WEB,
    failing_with,
    noting,
    parcel,
    shipment,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sslops.model.names import GenerationId
    from tests.world.sshd import Login, SshHost

STEP_LINE = "step() { :; }\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return where certificates go."""
    return tmp_path / "prod-certs"


@pytest.fixture
def host(root: Path) -> Host:
    """Return the runner itself as a host."""
    return Host("here", "local", prod_cert_dir=str(root))


@pytest.fixture
def receivers() -> Receivers:
    """Return receivers that run here."""
    shell = LocalShell(os.environ)
    return Receivers(shell, shell, SystemClock().now)


@pytest.mark.parametrize(
    ("seconds", "drift"),
    [(-7200, -7200), (0, 0), (4, 0), (10, 0), (70, 60), (None, None)],
)
def test_a_host_tells_its_time_within_what_the_call_took(host: Host, seconds: int | None, drift: int | None) -> None:
    """The call took ten seconds: anywhere between its beginning and its end the host's clock may be ours."""
    begun = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
    moments = [begun, begun + timedelta(seconds=10)]
    says = b"nonsense" if seconds is None else b"%d" % (begun.timestamp() + seconds)
    answered = Finished(0, b"sslops-receiver 1\nclock " + says + b"\ndone\n", "")

    class Shell:
        def run(self, *_: object, **__: object) -> Finished:
            return answered

    answer = Receivers(Shell(), Shell(), lambda: moments.pop(0)).look(host)

    assert (None if drift is None else timedelta(seconds=drift)) == answer.drift


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the file that restarts write to."""
    return tmp_path / "restarts"


def served(root: Path, service: ServiceId = MAIL) -> str:
    """Return the certificate that the files of *service* hold now."""
    return (root / str(service) / "curr/cert.pem").read_text().strip()


def stopping_at(name: str, doing: str) -> str:
    """Return the receiver with *doing* at step *name*."""
    assert STEP_LINE in script()
    return script().replace(STEP_LINE, f"step() {{ case $1 in {name}) {doing} ;; esac; }}\n")


def run_script(text: str, root: Path, operation: str, seq: int, payload: bytes) -> subprocess.Popen[bytes]:
    """Start a receiver by hand and feed it; one that dies at an early step may never read what it is fed."""
    process = subprocess.Popen(
        ["sh", "-c", text, "sslops-receiver", operation, str(seq), str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(payload)
    with suppress(BrokenPipeError):
        process.stdin.close()
    return process


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds; AssertionError after a long while."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    message = "it never came to that"
    raise AssertionError(message)


class TestPut:
    """A shipment arrives."""

    def test_brings_every_file_of_the_layout(self, receivers: Receivers, host: Host, root: Path) -> None:
        """`curr` holds the key, what is derived from it, and what it is."""
        answer = receivers.put(host, 1, shipment(MAIL, generation=OLD))

        assert Outcome.DONE == answer.outcome
        expected = {
            *("privkey.pem", "csr.pem", "cert.pem", "chain.pem", "fullchain.pem", "bundle.pem"),
            *("tlsa.rr", "info", "sums"),
        }
        assert expected == {path.name for path in (root / "example.com/mail-ec/curr").iterdir()}
        assert f"{KEY_WORD} {OLD}\ncert {OLD}\nchain\n" == (root / "example.com/mail-ec/curr/bundle.pem").read_text()
        assert f'generation: "{OLD}"' in (root / "example.com/mail-ec/curr/info").read_text()

    def test_answers_that_each_service_is_there_as_sent(self, receivers: Receivers, host: Host) -> None:
        """The hashes of the files that are served now are the proof."""
        answer = receivers.put(host, 1, shipment(MAIL, WEB, generation=OLD))

        assert {MAIL, WEB} == {service for service, held in answer.services.items() if held.intact}
        assert OLD == answer.holds(MAIL).generation

    def test_keeps_keys_from_others(self, receivers: Receivers, host: Host, root: Path) -> None:
        """Files with a key get the mode that `files` asks for, the rest can be read by all."""
        modes = FileModes(key_mode="0640")
        receivers.put(host, 1, Shipment((parcel(MAIL, OLD, modes=modes),)))

        found = {path.name: path.stat().st_mode & 0o777 for path in (root / "example.com/mail-ec/curr").iterdir()}
        assert {"privkey.pem": 0o640, "bundle.pem": 0o640} == {
            name: mode for name, mode in found.items() if mode != 0o644
        }

    def test_gives_files_to_the_group_asked_for(self, receivers: Receivers, host: Host, root: Path) -> None:
        """`files: {group: ...}` decides who may read."""
        if os.geteuid() != 0:
            pytest.skip("only root can give files to any group")
        receivers.put(host, 1, Shipment((parcel(MAIL, OLD, modes=FileModes(group="daemon")), parcel(WEB, OLD))))

        assert "daemon" == (root / "example.com/mail-ec/curr/privkey.pem").group()
        assert "daemon" != (root / "example.com/web-ec/curr/privkey.pem").group()

    def test_gives_away_files_and_no_folder(self, receivers: Receivers, host: Host, root: Path) -> None:
        """Who owns a folder could put a link or a FIFO into it, which the receiver would find as root."""
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        receivers.put(host, 1, Shipment((parcel(MAIL, OLD, modes=FileModes(owner="daemon")),)))
        service = root / "example.com/mail-ec"

        assert {"daemon"} == {path.owner() for path in (service / "curr").iterdir()}
        assert {"root"} == {path.owner() for path in (service, service / ".generations", (service / "curr").resolve())}

    def test_reads_nothing_but_small_regular_files(self, receivers: Receivers, host: Host, root: Path) -> None:
        """A FIFO does not hold it up, a link shows nothing of another file, nor does a file without an end."""
        receivers.put(host, 1, shipment(MAIL, WEB, generation=OLD))
        folder = root / "example.com/mail-ec/curr"
        for name in ("info", "cert.pem", "sums", "chain.pem"):
            (folder / name).unlink()
        os.mkfifo(folder / "info")
        os.mkfifo(folder / "sums")
        (folder / "cert.pem").symlink_to("/etc/passwd")
        with (folder / "chain.pem").open("wb") as file:
            file.truncate(1 << 32)
        answer = receivers.ask(host, 2)

        assert Outcome.DONE == answer.outcome
        assert not {"info", "cert.pem", "sums", "chain.pem"} & answer.holds(MAIL).files.keys()
        assert (False, True) == (answer.holds(MAIL).intact, answer.holds(WEB).intact)

    @pytest.mark.parametrize("place", ["example.com", "example.com/mail-ec", "example.com/mail-ec/.generations"])
    def test_refuses_a_link_where_a_folder_should_be(
        self, receivers: Receivers, host: Host, root: Path, tmp_path: Path, place: str
    ) -> None:
        """Nothing is written, and nothing removed, where it leads."""
        elsewhere = tmp_path / "elsewhere"
        (elsewhere / "mail-ec/.generations/x").mkdir(parents=True)
        (elsewhere / ".generations/x").mkdir(parents=True)
        (elsewhere / "x").mkdir()
        before = sorted(elsewhere.rglob("*"))
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(elsewhere)
        answer = receivers.put(host, 1, shipment(MAIL, generation=OLD))

        assert Outcome.REFUSED == answer.outcome
        assert f"'{root}/{place}' is a link where a folder of ours should be" in str(answer.trouble)
        assert before == sorted(elsewhere.rglob("*"))

    def test_passes_on_what_tar_says(self, host: Host) -> None:
        """A full disk, here a limit on the size of files, is not an incomplete payload."""

        class Limited:
            def run(self, _host: Host, words: Sequence[str], *, payload: bytes, timeout_seconds: float) -> Finished:
                limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@"', "sh", *words]
                return run_piped(limited, payload=payload, environ=os.environ, timeout_seconds=timeout_seconds)

        large = Shipment((), includes=(Include("example.com", b"x" * 100_000),))
        answer = Receivers(Limited(), Limited(), SystemClock().now).put(host, 1, large)

        assert Outcome.REFUSED == answer.outcome
        assert "cannot be unpacked: tar: " in str(answer.trouble)
        assert "Wrote only" in str(answer.trouble)
        assert "KiB are free there" in str(answer.trouble)

    def test_files_carry_the_time_of_issue(self, receivers: Receivers, host: Host, root: Path) -> None:
        """rsync, backups and reloads that go by it see a new key; an include file is as new as its arrival."""
        begun = time.time()
        receivers.put(host, 1, shipment(MAIL, generation=OLD, include="new\n"))

        curr = root / str(MAIL) / "curr"
        assert {int(ISSUED_AT.timestamp())} == {int(path.stat().st_mtime) for path in [curr, *curr.iterdir()]}
        assert int(begun) <= (root / "example.com/tlsa.example.com").stat().st_mtime

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group it is not a member of")
    def test_other_modes_of_the_same_generation_go_back_when_the_restart_fails(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """The files of before are whole, and their daemon can read them."""
        receivers.put(host, 1, Shipment((parcel(MAIL, OLD, modes=FileModes(group="mail", key_mode="0640")),)))
        held = receivers.look(host).holds(MAIL)
        assert [True, False] == [held.is_open_as(FileModes(None, group, "0640")) for group in ("mail", "daemon")]

        narrow = replace(parcel(MAIL, OLD, returns_to={OLD}), returns_to_same=True)
        answer = receivers.put(host, 2, Shipment((narrow,), (), (noting(log, fails_once=True),)))

        assert Outcome.WENT_BACK == answer.outcome
        assert "mail" == (root / str(MAIL) / "curr/privkey.pem").group()

    def test_restarts_each_class_once_after_all_files(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """Both services are there when the one restart runs."""
        both = f'cat "{root}"/example.com/*/curr/cert.pem >> "$0"'
        restart = Restart("smtp", (("sh", "-c", both, str(log)),))
        receivers.put(host, 1, shipment(MAIL, WEB, generation=OLD, restart=restart))

        assert f"cert {OLD}\ncert {OLD}\n" == log.read_text()

    def test_passes_words_as_they_are(self, receivers: Receivers, host: Host, log: Path) -> None:
        """No shell reads the words of a command again, whatever they hold."""
        words = ("a b", "$(touch pwned)", "it's", "*", "", "-n", "new\nline", "`id`")
        receivers.put(
            host, 1, Shipment(restarts=(Restart("x", (("sh", "-c", f'printf "%s|" "$@" > {log}', "sh", *words),)),))
        )

        assert "".join(f"{word}|" for word in words) == log.read_text()

    def test_leaves_nothing_in_staging(self, receivers: Receivers, host: Host, root: Path) -> None:
        """No key lies anywhere but in the folders that `curr` and the rollback target point at."""
        for seq, generation in enumerate((OLD, NEW, OLD, NEW), start=1):
            receivers.put(host, seq, shipment(MAIL, generation=generation))

        assert not (root / ".sslops-staging").exists()
        assert 2 == len(list((root / "example.com/mail-ec/.generations").iterdir()))

    def test_moves_a_real_folder_aside(self, receivers: Receivers, host: Host, root: Path) -> None:
        """An adopted site has a folder where we have a link; it stays as the rollback target."""
        adopted = root / "example.com/mail-ec/curr"
        adopted.mkdir(parents=True)
        (adopted / "cert.pem").write_text("adopted\n")
        receivers.put(host, 1, shipment(MAIL, generation=NEW))

        assert f"cert {NEW}" == served(root)
        receivers.back(host, 1, shipment(MAIL, generation=NEW))
        assert "adopted" == served(root)

    def test_survives_a_daemon_that_keeps_its_pipes(self, receivers: Receivers, host: Host) -> None:
        """A restart that leaves a process behind neither holds the answer nor the lock."""
        lasting = Restart("x", (("sh", "-c", "sleep 30 & echo $! >&2"),))
        first = receivers.put(host, 1, shipment(MAIL, generation=OLD, restart=lasting))
        second = receivers.put(host, 2, shipment(MAIL, generation=NEW))

        assert (Outcome.DONE, Outcome.DONE) == (first.outcome, second.outcome)

    def test_carries_a_hundred_services_in_one_session(self, receivers: Receivers, host: Host, log: Path) -> None:
        """All are there, and the class restarted once."""
        services = [ServiceId("example.com", f"web-{number}") for number in range(100)]
        answer = receivers.put(host, 1, shipment(*services, generation=OLD, restart=noting(log)))

        assert 100 == sum(held.intact for held in answer.services.values())
        assert "restart\n" == log.read_text()

    def test_brings_include_files(self, receivers: Receivers, host: Host, root: Path) -> None:
        """`tlsa.<apex>` lies beside the services and is told by its hash."""
        receivers.put(host, 1, shipment(include="; records\n", generation=OLD))

        assert "; records\n" == (root / "example.com/tlsa.example.com").read_text()
        expected = hashlib.sha256(b"; records\n").hexdigest()
        assert {"example.com": expected} == receivers.look(host).includes


class TestFence:
    """Of two runs the newer one wins, however late the older one's payload arrives."""

    def test_refuses_an_older_payload(self, receivers: Receivers, host: Host, root: Path) -> None:
        """What was sent before, and arrives after, changes nothing."""
        receivers.put(host, 8, shipment(MAIL, generation=NEW))
        late = receivers.put(host, 7, shipment(MAIL, generation=OLD))

        assert Outcome.FENCED == late.outcome
        assert f"cert {NEW}" == served(root)

    def test_holds_after_a_mere_question(self, receivers: Receivers, host: Host, root: Path) -> None:
        """Once a host was asked with a number, nothing older acts there."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        assert 9 == receivers.ask(host, 9).seq

        assert Outcome.FENCED == receivers.put(host, 8, shipment(MAIL, generation=NEW)).outcome
        assert f"cert {OLD}" == served(root)

    def test_a_look_raises_nothing(self, receivers: Receivers, host: Host) -> None:
        """Looking takes no number, so it cannot shut anybody out."""
        receivers.put(host, 3, shipment(MAIL, generation=OLD))

        assert 3 == receivers.look(host).seq
        assert Outcome.DONE == receivers.put(host, 4, shipment(MAIL, generation=NEW)).outcome

    def test_a_number_serves_one_put(self, receivers: Receivers, host: Host) -> None:
        """The same number again is refused: its folder exists."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))

        assert Outcome.REFUSED == receivers.put(host, 1, shipment(MAIL, generation=OLD)).outcome

    def test_a_receiver_that_sleeps_cannot_act_after_a_newer_run(
        self, receivers: Receivers, host: Host, root: Path
    ) -> None:
        """Stopped while it holds the lock it keeps newer ones out; woken, it acts before them, never after."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        text = stopping_at(f"'switch {MAIL}'", f"touch {root}/asleep; kill -STOP $$")
        sleeper = run_script(text, root, "put", 2, pack(shipment(MAIL, generation=OLD), 2).reveal())
        wait_until((root / "asleep").exists)
        answers = []
        newer = threading.Thread(
            target=lambda: answers.append(receivers.put(host, 3, shipment(MAIL, generation=NEW))), daemon=True
        )
        newer.start()
        time.sleep(0.3)
        assert [] == answers
        sleeper.send_signal(signal.SIGCONT)
        sleeper.wait(120)
        newer.join(120)

        assert [Outcome.DONE] == [answer.outcome for answer in answers]
        assert f"cert {NEW}" == served(root)

    def test_a_receiver_that_waited_for_the_lock_is_fenced(self, receivers: Receivers, host: Host, root: Path) -> None:
        """The number is compared under the lock: who comes to it late finds the higher one."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        text = stopping_at("lock", f"touch {root}/asleep; kill -STOP $$")
        sleeper = run_script(text, root, "put", 2, pack(shipment(MAIL, generation=OLD), 2).reveal())
        wait_until((root / "asleep").exists)
        receivers.put(host, 3, shipment(MAIL, generation=NEW))
        sleeper.send_signal(signal.SIGCONT)

        assert 20 == sleeper.wait(120)
        assert f"cert {NEW}" == served(root)


class TestGoingBack:
    """What does not restart goes back, once."""

    def test_everything_of_the_session_goes_back(self, receivers: Receivers, host: Host, root: Path, log: Path) -> None:
        """Both services and the include file are what they were, and the old ones were restarted."""
        receivers.put(host, 1, shipment(MAIL, WEB, generation=OLD, include="old\n"))
        answer = receivers.put(
            host,
            2,
            shipment(MAIL, WEB, generation=NEW, include="new\n", restart=failing_with(log, root, NEW)),
        )

        assert Outcome.WENT_BACK == answer.outcome
        assert [f"cert {OLD}"] * 2 == [served(root), served(root, WEB)]
        assert "old\n" == (root / "example.com/tlsa.example.com").read_text()
        assert "restart\nrestart\n" == log.read_text()
        assert frozenset() == receivers.look(host).unfinished

    def test_what_comes_where_nothing_was_stays(self, receivers: Receivers, host: Host, root: Path, log: Path) -> None:
        """A daemon that is to read it cannot start without it; the command runs once, and says what to do next."""
        log.parent.joinpath("broken").touch()
        failing = noting(log, fails_while=log.parent / "broken")
        answer = receivers.put(host, 1, shipment(MAIL, generation=OLD, include="new\n", restart=failing))

        assert (Outcome.STAYED, frozenset({MAIL})) == (answer.outcome, answer.first)
        assert (f"cert {OLD}", "restart\n") == (served(root), log.read_text())
        assert "new\n" == (root / "example.com/tlsa.example.com").read_text()
        assert frozenset({MAIL}) == receivers.look(host).unfinished
        assert answer.trouble is not None
        assert f"{root}/{MAIL}/curr/" in (answer.trouble.hint or "")
        assert "sslops deploy --host here --apply" in (answer.trouble.hint or "")

        # It stays so until the daemon runs, whatever generation comes; then there is a rollback target.
        assert Outcome.STAYED == receivers.put(host, 2, shipment(MAIL, generation=NEW, restart=failing)).outcome
        assert f"cert {NEW}" == served(root)
        log.parent.joinpath("broken").unlink()
        assert Outcome.DONE == receivers.put(host, 3, shipment(MAIL, generation=NEW, restart=failing)).outcome
        bad = shipment(MAIL, generation=LATER, restart=failing_with(log, root, LATER))
        assert Outcome.WENT_BACK == receivers.put(host, 4, bad).outcome
        assert f"cert {NEW}" == served(root)

    def test_a_second_key_stays_while_the_first_goes_back(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """EC has what was served before, RSA has nothing: the daemon runs again with the old one, RSA is there."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        answer = receivers.put(host, 2, shipment(MAIL, WEB, generation=NEW, restart=failing_with(log, root, NEW)))

        assert (Outcome.WENT_BACK, frozenset({WEB})) == (answer.outcome, answer.first)
        assert [f"cert {OLD}", f"cert {NEW}"] == [served(root), served(root, WEB)]
        assert "restart\nrestart\n" == log.read_text()

    def test_what_is_not_shown_at_first_stays_too(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """The daemon runs and reads something else: the rollback target is none, and no further restart."""
        going = shipment(MAIL, generation=OLD, restart=noting(log))
        receivers.put(host, 1, going)

        assert Outcome.DONE == receivers.back(host, 1, going).outcome
        assert (f"cert {OLD}", "restart\n") == (served(root), log.read_text())
        assert frozenset() == receivers.look(host).unfinished

    def test_killed_in_the_first_session_it_still_stays(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """The next run finds files that nothing has loaded yet; they are no rollback target."""
        text = stopping_at(f"'switched {MAIL}'", "kill -9 $$")
        run_script(text, root, "put", 1, pack(shipment(MAIL, generation=OLD), 1).reveal()).wait(120)
        log.parent.joinpath("broken").touch()
        failing = noting(log, fails_while=log.parent / "broken")

        assert Outcome.STAYED == receivers.put(host, 2, shipment(MAIL, generation=NEW, restart=failing)).outcome
        assert f"cert {NEW}" == served(root)

    def test_a_restart_that_never_works_is_tried_twice_only(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """Once with the new files, once with the old ones; then it is said, and remembered."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        log.parent.joinpath("broken").touch()
        restart = noting(log, fails_while=log.parent / "broken")
        answer = receivers.put(host, 2, shipment(MAIL, generation=NEW, restart=restart))

        assert Outcome.STUCK == answer.outcome
        assert f"cert {OLD}" == served(root)
        assert "restart\nrestart\n" == log.read_text()
        assert frozenset({MAIL}) == receivers.look(host).unfinished

    def test_the_way_back_is_not_another_try(self, receivers: Receivers, host: Host, root: Path, log: Path) -> None:
        """While the restarts of the first try are not through, the second goes back to what was before both."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        text = stopping_at(f"'switched {MAIL}'", "kill -9 $$")
        run_script(text, root, "put", 2, pack(shipment(MAIL, generation=NEW), 2).reveal()).wait(120)
        receivers.put(host, 3, shipment(MAIL, generation=NEW, restart=noting(log), returns_to={OLD}))
        receivers.back(host, 3, shipment(MAIL, generation=NEW, restart=noting(log), returns_to={OLD}))

        assert f"cert {OLD}" == served(root)
        assert "restart\nrestart\n" == log.read_text()

    @pytest.mark.parametrize("returns_to", [None, {NEW}, {OLD, NEW}])
    def test_what_was_served_already_does_not_go_back_further(
        self, receivers: Receivers, host: Host, root: Path, log: Path, returns_to: set[GenerationId] | None
    ) -> None:
        """A settled generation is sent again: the one before it, whose records are gone, never comes back."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        receivers.put(host, 2, shipment(MAIL, generation=NEW))
        (root / str(MAIL) / "curr/chain.pem").write_text("touched\n")
        again = shipment(MAIL, generation=NEW, restart=noting(log, fails_once=True), returns_to=returns_to)

        assert Outcome.WENT_BACK == receivers.put(host, 3, again).outcome
        held = receivers.ask(host, 3).holds(MAIL)
        assert (NEW, True) == (held.generation, held.intact)
        receivers.back(host, 3, again)
        assert f"cert {NEW}" == served(root)

    @pytest.mark.parametrize("brought", ["a link", "nothing", "a folder"])
    def test_what_the_ledger_does_not_name_does_not_come_back(
        self, receivers: Receivers, host: Host, root: Path, log: Path, brought: str
    ) -> None:
        """Somebody put an old folder back, or took all away: what is sent now may be served, that may not."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        curr = root / str(MAIL) / "curr"
        if brought != "a link":
            curr.unlink()
        if brought == "a folder":
            curr.mkdir()
            (curr / "cert.pem").write_text("adopted\n")
        failing = noting(log, fails_while=log.parent / "broken")
        log.parent.joinpath("broken").touch()
        going = shipment(MAIL, WEB, generation=NEW, restart=failing, returns_to={NEW})

        expected = Outcome.STAYED if brought == "nothing" else Outcome.STUCK
        assert expected == receivers.put(host, 2, going).outcome
        assert (f"cert {NEW}", frozenset({MAIL, WEB})) == (served(root), receivers.look(host).unfinished)
        log.parent.joinpath("broken").unlink()
        assert Outcome.DONE == receivers.put(host, 3, going).outcome
        assert 2 == len(list(root.rglob("cert.pem")))

    def test_what_is_unfinished_goes_back_only_to_what_the_ledger_names(
        self, receivers: Receivers, host: Host, root: Path, log: Path
    ) -> None:
        """Also where an earlier session remembered a rollback target."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        text = stopping_at(f"'switched {MAIL}'", "kill -9 $$")
        run_script(text, root, "put", 2, pack(shipment(MAIL, generation=NEW), 2).reveal()).wait(120)
        going = shipment(MAIL, generation=LATER, restart=noting(log, fails_once=True), returns_to={NEW})

        assert Outcome.WENT_BACK == receivers.put(host, 3, going).outcome
        assert f"cert {LATER}" == served(root)

    def test_what_the_daemon_said_is_told(self, receivers: Receivers, host: Host) -> None:
        """The error carries the command's exit code and its last words, made harmless."""
        said = Restart("smtp", (("sh", "-c", r"printf 'no such\033[31m key\n'; exit 4"),))
        answer = receivers.put(host, 1, shipment(MAIL, generation=NEW, restart=said))

        assert answer.trouble is not None
        assert r"restart of smtp 4; no such\x1b[31m key" in answer.trouble.what


class TestBadLuck:
    """Whatever is cut off leaves the old or the new, and the next run puts it right."""

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.9999])
    def test_a_payload_that_breaks_off_changes_nothing(
        self, receivers: Receivers, host: Host, root: Path, share: float
    ) -> None:
        """The connection dies while files are sent: nothing is switched, and nothing is left of it."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        # Without the zeros that tar fills its last block with.
        content = pack(shipment(MAIL, WEB, generation=NEW), 2).reveal().rstrip(b"\0")
        process = run_script(script(), root, "put", 2, content[: int(len(content) * share)])

        assert 23 == process.wait(120)
        assert f"cert {OLD}" == served(root)
        assert not (root / ".sslops-staging").exists()

    def test_a_payload_that_was_changed_is_refused(self, receivers: Receivers, host: Host, root: Path) -> None:
        """The hashes in it must match."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        content = pack(shipment(MAIL, generation=NEW), 2).reveal().replace(b"chain\n", b"chaim\n", 1)

        assert 23 == run_script(script(), root, "put", 2, content).wait(120)
        assert f"cert {OLD}" == served(root)

    def test_killed_at_any_step_it_is_repaired_by_the_next_run(
        self, receivers: Receivers, host: Host, root: Path, log: Path, tmp_path: Path
    ) -> None:
        """After kill -9 at each step in turn, each service is whole, and the next run ends well."""
        steps = self._steps(receivers, host, tmp_path)
        assert len(steps) > 15
        receivers.put(host, 1, shipment(MAIL, WEB, generation=OLD, include="old\n"))
        for number, name in enumerate(steps):
            seq = 2 * number + 2
            wanted = NEW if number % 2 == 0 else OLD
            going = shipment(MAIL, WEB, generation=wanted, include=f"{number}\n", restart=noting(log))
            text = stopping_at(f"'{name}'", "kill -9 $$")
            assert -9 == run_script(text, root, "put", seq, pack(going, seq).reveal()).wait(120), name
            assert {served(root), served(root, WEB)} <= {f"cert {OLD}", f"cert {NEW}"}, name

            answer = receivers.put(host, seq + 1, going)
            assert Outcome.DONE == answer.outcome, (name, answer.trouble)
            assert {f"cert {wanted}"} == {served(root), served(root, WEB)}, name
            assert frozenset() == receivers.look(host).unfinished, name
            assert not (root / ".sslops-staging").exists(), name
            assert len(list((root / "example.com/mail-ec/.generations").iterdir())) <= 2, name

    def test_killed_on_the_way_back_it_is_repaired_by_the_next_run(
        self, receivers: Receivers, host: Host, root: Path, log: Path, tmp_path: Path
    ) -> None:
        """The same while a failed session goes back: nothing is lost, and what is sent next arrives."""
        trace = tmp_path / "trace"
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        bad = shipment(MAIL, generation=NEW, restart=failing_with(log, root, NEW))
        tracing = script().replace(STEP_LINE, f'step() {{ echo "$1" >> {trace}; }}\n')
        assert 24 == run_script(tracing, root, "put", 2, pack(bad, 2).reveal()).wait(120)
        steps = trace.read_text().splitlines()
        back = steps[steps.index(f"return {MAIL}") :]
        assert [f"return {MAIL}", f"returned {MAIL}", "restart smtp"] == back[:3]
        for number, name in enumerate(dict.fromkeys(back)):
            seq = 3 * number + 3
            text = stopping_at(f"'{name}'", '[ "$phase" != returning ] || kill -9 $$')
            assert run_script(text, root, "put", seq, pack(bad, seq).reveal()).wait(120) in {-9, 24}, name
            assert served(root) in {f"cert {OLD}", f"cert {NEW}"}, name

            again = receivers.put(host, seq + 1, bad)
            assert Outcome.WENT_BACK == again.outcome, name
            assert f"cert {OLD}" == served(root), name
            assert Outcome.DONE == receivers.put(host, seq + 2, shipment(MAIL, generation=OLD)).outcome, name

    def test_killed_between_switch_and_restart_the_host_says_so(
        self, receivers: Receivers, host: Host, root: Path
    ) -> None:
        """The files are new, the daemon is not: a mere look tells."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        text = stopping_at(f"'switched {MAIL}'", "kill -9 $$")
        run_script(text, root, "put", 2, pack(shipment(MAIL, generation=NEW), 2).reveal()).wait(120)

        assert frozenset({MAIL}) == receivers.look(host).unfinished
        assert f"cert {NEW}" == served(root)

    def test_a_file_that_was_touched_is_not_intact(self, receivers: Receivers, host: Host, root: Path) -> None:
        """Somebody edits a file on the server: the answer does not prove it any more."""
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        assert receivers.ask(host, 2).holds(MAIL).intact
        (root / "example.com/mail-ec/curr/chain.pem").write_text("other\n")

        assert not receivers.ask(host, 3).holds(MAIL).intact

    def test_no_secret_is_ever_an_argument(self, host: Host, root: Path, tmp_path: Path) -> None:
        """Every command line that the receiver has while it runs is free of keys."""
        seen = tmp_path / "cmdlines"
        watch = f"cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >> {seen} 2>/dev/null || :"
        text = script().replace(STEP_LINE, f"step() {{ {watch}; }}\n")
        process = run_script(text, root, "put", 1, pack(shipment(MAIL, generation=NEW), 1).reveal())

        assert 0 == process.wait(120)
        assert b"sslops-receiver" in seen.read_bytes()
        assert KEY_WORD.encode() not in seen.read_bytes()
        assert host.is_local

    @staticmethod
    def _steps(receivers: Receivers, host: Host, tmp_path: Path) -> list[str]:
        """Return the names of all steps of a second put, in order."""
        root, log, trace = tmp_path / "trace-root", tmp_path / "trace-log", tmp_path / "trace"
        first = shipment(MAIL, WEB, generation=OLD, include="old\n")
        other = Host(host.name, host.address, prod_cert_dir=str(root))
        receivers.put(other, 1, first)
        text = script().replace(STEP_LINE, f'step() {{ echo "$1" >> {trace}; }}\n')
        going = shipment(MAIL, WEB, generation=NEW, include="new\n", restart=noting(log))
        assert 0 == run_script(text, root, "put", 2, pack(going, 2).reveal()).wait(120)
        return [line for line in trace.read_text().splitlines() if not line.startswith(("sweep", "swept"))]


class TestBehindSsh:
    """The same over OpenSSH."""

    @pytest.fixture
    def far(self, ssh_host: Callable[[str], SshHost]) -> SshHost:
        """Return a server."""
        return ssh_host("smtp1.internal.example.com")

    @pytest.fixture
    def remote(self, far: SshHost, login: Login) -> Iterator[tuple[Receivers, Host]]:
        """Yield receivers over ssh, and the server as the inventory has it."""
        host = Host(far.name, far.address, far.port, far.user, str(far.prod_cert_dir))
        environ = {**os.environ, **login.environment}
        with Ssh(far.known_hosts, [host], environ=environ) as ssh:
            yield Receivers(ssh, LocalShell(environ), SystemClock().now), host

    def test_put_ask_and_back_work(self, remote: tuple[Receivers, Host], far: SshHost, log: Path) -> None:
        """One connection carries all three."""
        receivers, host = remote
        receivers.put(host, 1, shipment(MAIL, generation=OLD, restart=noting(log)))
        receivers.put(host, 2, shipment(MAIL, generation=NEW, restart=noting(log)))
        assert NEW == receivers.ask(host, 2).holds(MAIL).generation
        receivers.back(host, 2, shipment(MAIL, generation=NEW, restart=noting(log)))

        assert f"cert {OLD}" == served(far.prod_cert_dir)
        assert 3 == len(log.read_text().splitlines())
        assert 1 == len(re.findall("Accepted publickey", far.log))

    def test_a_forced_command_limits_the_key_to_the_receiver(
        self, remote: tuple[Receivers, Host], far: SshHost, login: Login, log: Path
    ) -> None:
        """As in docs/deploy.md: the receiver works; other commands, folders and restarts are refused."""
        receivers, host = remote
        far.install("receiver", forced_script())
        (far.folder / "restarts").write_text(f"/bin/true\n{shlex.join(noting(log).commands[0])}\n")
        command = f"{far.folder}/bin/receiver {far.prod_cert_dir} {far.folder}/restarts"
        (far.folder / "authorized_keys").write_text(f'restrict,command="{command}" {login.public}')
        put = receivers.put(host, 1, shipment(MAIL, generation=OLD, restart=noting(log)))
        forbidden = Restart("smtp", (("sh", "-c", f"touch {far.folder}/owned"),))
        other = receivers.put(host, 2, shipment(MAIL, generation=NEW, restart=forbidden))
        elsewhere = receivers.look(replace(host, prod_cert_dir=str(far.folder)))
        with Ssh(far.known_hosts, [host], environ={**os.environ, **login.environment}) as ssh:
            shell = ssh.run(host, ["touch", f"{far.folder}/owned"], payload=b"", timeout_seconds=60)

        assert Outcome.DONE == put.outcome
        assert 1 == len(log.read_text().splitlines())
        assert (Outcome.REFUSED, f"cert {OLD}") == (other.outcome, served(far.prod_cert_dir))
        assert "does not allow the restart_cmd of 'smtp'" in str(other.trouble)
        assert Outcome.REFUSED == elsewhere.outcome
        assert 23 == shell.code
        assert not (far.folder / "owned").exists()

    def test_a_connection_that_dies_while_sending_changes_nothing(
        self, remote: tuple[Receivers, Host], far: SshHost, login: Login
    ) -> None:
        """The ssh client is killed half way through the payload."""
        receivers, host = remote
        receivers.put(host, 1, shipment(MAIL, generation=OLD))
        content = pack(shipment(MAIL, WEB, generation=NEW), 2).reveal()
        environ = {**os.environ, **login.environment}
        with Ssh(far.known_hosts, [host], environ=environ) as ssh:
            quoted = f"sh -c '{script().replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}' r put 2 {far.prod_cert_dir}"
            process = subprocess.Popen([*ssh.client(host), "--", host.address, quoted], stdin=subprocess.PIPE)
            assert process.stdin is not None
            process.stdin.write(content[: len(content) // 2])
            process.stdin.flush()
            wait_until((far.prod_cert_dir / ".sslops-staging").exists)
            process.kill()
            process.wait()
        wait_until(lambda: not (far.prod_cert_dir / ".sslops-staging").exists())

        assert f"cert {OLD}" == served(far.prod_cert_dir)
        assert Outcome.DONE == receivers.put(host, 3, shipment(MAIL, generation=NEW)).outcome


class TestHostileNames:
    """A name that would leave its place never reaches a server."""

    @pytest.mark.parametrize("name", ["..", "a/b", "-rf", ".hidden", "a b", "a\nb", "$(id)", "", "a\tb", "a;b", "é"])
    def test_a_service_is_refused(self, receivers: Receivers, host: Host, root: Path, name: str) -> None:
        """The shipment is not packed."""
        with pytest.raises(Exception, match="is not safe as a file name"):
            receivers.put(host, 1, shipment(ServiceId("example.com", name), generation=OLD))

        assert not root.exists()

    def test_an_apex_is_refused(self, receivers: Receivers, host: Host) -> None:
        """An include file cannot be written elsewhere."""
        with pytest.raises(Exception, match="is not safe as a file name"):
            receivers.put(host, 1, Shipment(includes=(Include("../etc", b""),)))

    def test_a_group_of_users_is_refused(self, receivers: Receivers, host: Host) -> None:
        """Nor can chown be given an option."""
        with pytest.raises(Exception, match="is not a name of a user or a group"):
            receivers.put(host, 1, Shipment((parcel(MAIL, OLD, modes=FileModes(group="--reference=/")),)))

    def test_a_folder_with_blanks_and_quotes_works(self, receivers: Receivers, tmp_path: Path) -> None:
        """`prod_cert_dir` is a path of the operator's, and may be odd."""
        odd = Host("odd", "local", prod_cert_dir=str(tmp_path / 'it\'s a "folder" $x'))

        assert Outcome.DONE == receivers.put(odd, 1, shipment(MAIL, generation=OLD)).outcome
        assert f"cert {OLD}" == served(Path(odd.prod_cert_dir))
