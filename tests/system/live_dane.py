"""The life of DANE on real servers, one step after another, while a judge looks on: steps for a test and for a soak.

Nothing is staged here: time is real, TTLs are two seconds, the resolvers are unbound and the mail servers postfix.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from typing import TYPE_CHECKING

from sslops.model.names import parse_time
from tests.system.launching import Launched
from tests.system.test_cycle import fields
from tests.world.dns import PRIMARY, SECONDARY
from tests.world.judge import PATIENCE_SECONDS, Verdict
from tests.world.postfix_site import MAIL_FILE, RSA_FILE, SETTINGS, TTL_SECONDS, PostfixSite
from tests.world.programs import wait_until
from tests.world.site import RESTART

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.world.judge import Judge
    from tests.world.ops import OpsRepository

MAIL, MAIL_TARGET = "example.com/mail-ec", "example.com:mail-ec"
ONE, BOTH = "svc_depends: [[example.com, [mail-ec]]]", "svc_depends: [[example.com, [mail-ec, mail-rsa]]]"
SHORT_LOOK = "sslops.publish.steps:LOOK_SECONDS=3"
"""How long publish waits for a secondary that will not follow."""
NO_GATE = "sslops.dane.may_serve:slowest=lambda _: YES"
MAX_RUNS = 12
BUSY = 5
"""The exit code of a run that another one was ahead of."""
RECEIVER_STEPS = 40
"""About as many as the receivers of one deploy to both hosts take."""
LONGEST_WAIT_SECONDS = 30.0


class LiveDane:
    """One site and its judge; every method is a step that leaves the site at rest and judged."""

    def __init__(self, world: PostfixSite, judge: Judge, dice: random.Random | None = None) -> None:
        """Begin with an inventory that asks for DANE, and nothing issued; *dice* choose moments."""
        self.world, self.judge, self.site = world, judge, world.site
        self._dice = dice or random.Random()  # noqa: S311  (no secret)
        self._other: OpsRepository | None = None

    def first_use(self) -> None:
        """Serve the first certificate, then publish its record, and that of the prepublished key."""
        self._until(lambda: all(self.world.records()))
        self.judge.all_say(Verdict.VERIFIED)
        self.judge.expects_records = True
        self._rest()

    def renew(self) -> None:
        """Renew with the key whose record is there already, roll, deploy; then the old record goes."""
        self._change_key("--force")

    def force_another_key(self) -> None:
        """Throw the prepublished key away, so that another has to be published and to age first."""
        self._change_key("--force", "--new-key")

    def dane_off(self) -> None:
        """Take DANE out of the inventory; the records go."""
        self.judge.expects_records = False
        lines = self.world.mail_yaml.splitlines(keepends=True)
        self.site.ops.edit({MAIL_FILE: "".join(line for line in lines if not line.startswith("dane_tls"))})
        self._until(lambda: not any(self.world.records()))
        self.judge.all_say(Verdict.NO_RECORDS)

    def dane_on(self) -> None:
        """Bring it back."""
        self.site.ops.edit({MAIL_FILE: self.world.mail_yaml})
        self.first_use()

    def add_rsa(self) -> None:
        """Let an RSA key join the port."""
        self.site.ops.edit({RSA_FILE: self.world.rsa_yaml, SETTINGS: self.world.settings.replace(ONE, BOTH)})
        self._rest()

    def remove_rsa(self) -> None:
        """Let it leave: out of the inventory, then off the hosts; its record goes last."""
        self.site.ops.edit({RSA_FILE: None, SETTINGS: self.world.settings})
        self.run()
        for host in self.site.hosts.values():
            shutil.rmtree(host.prod_cert_dir / "example.com/mail-rsa")
        self.world.restart_all()
        self._rest()

    def renew_while_a_host_is_down(self) -> None:
        """Renew while one server cannot be reached by ssh: it goes on with the old key until it can."""
        before, host = self._slot("curr"), next(iter(self.site.hosts.values()))
        host.stop()
        self.site.sslops("renew", MAIL_TARGET, "--force", "--apply").succeeded()
        self._until(lambda: self._slot("curr") != before, may_fail=True)
        self.run(may_fail=True)
        self.judge.all_say(Verdict.VERIFIED)
        host.start()
        self._rest()

    def force_another_key_while_a_server_lags(self) -> None:
        """Change the key while the secondary answers what it had: nothing is rolled before it has caught up."""
        before = self._slot("curr")
        self.site.dns.lag()
        self.site.sslops("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
        for _ in range(2):
            self._launch("run", SHORT_LOOK)
            self._wait_as_planned()

        assert before == self._slot("curr")

        self.judge.all_say(Verdict.VERIFIED)
        self.site.dns.catch_up()
        self._until(lambda: self._slot("curr") != before)
        self._rest()

    def change_the_key_without_a_gate(self) -> None:
        """Roll and deploy a key that DNS does not know, with `may_serve` taken out: the judge has to find it."""
        self.site.sslops("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
        for verb in ("roll", "deploy"):
            self._launch(verb, NO_GATE)
        wait_until(lambda: self.judge.broken != [], lambda: "the judge found nothing", seconds=PATIENCE_SECONDS)

    def ask_for_other_records(self) -> None:
        """Ask for records of the certificate in place of the key, renew with them, and ask for the former again."""
        for kind in ("3, 0, 1", "3, 1, 1"):
            self.site.ops.edit({MAIL_FILE: self.world.mail_yaml.replace("3, 1, 1", kind)})
            self._rest()
            found = {record.rpartition(" ")[0] for records in self.world.records() for record in records}

            assert {kind.replace(",", "")} == found

            self.renew()

    def take_a_roll_back(self) -> None:
        """Revert a roll on `main`: the hosts go back to the key before, and on to the refused one by force."""
        before = self._slot("curr")
        self.site.sslops("renew", MAIL_TARGET, "--force", "--apply").succeeded()
        self._until(lambda: self._slot("curr") != before)
        taken_back = self._slot("curr")
        person = self.site.ops._person

        assert person is not None

        person.revert("origin/main")

        assert before == self._slot("curr")

        self._until(lambda: self._is_served(before))
        self.judge.all_say(Verdict.VERIFIED)
        self.site.sslops("roll", MAIL_TARGET, "--force", "--apply").succeeded()
        self._until(lambda: self._slot("curr") == taken_back)
        self._rest()

    def lose_the_ledger(self) -> None:
        """Renew without the ledger: what is served and published has to be found out first."""
        self.site.ops.git_remote("update-ref", "-d", "refs/heads/ledger")
        self.renew()

    def renew_while_runs_are_killed(self) -> None:
        """Change the key while every other run is killed at a moment of chance."""
        count = self.site.folder / "effects"

        def killed_and_run() -> None:
            with Launched(self.site.ops, "run", "--apply", options=("--count", count)) as launched:
                launched.kill_at_work(count, self._dice.uniform(0, 3))
            self.run()

        self._change_the_key_by(killed_and_run)

    def renew_by_two_runs_at_once(self) -> None:
        """Change the key by two runs side by side, each in a clone of its own: one may find that the other is busy."""
        other = self._other = self._other or self.site.ops.clone(self.site.folder / "other-ops")
        self._change_the_key_by(lambda: self._run_twice([self.site.ops, other]))

    def _change_the_key_by(self, run: Callable[[], object]) -> None:
        before = self._slot("curr")
        self.site.sslops("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
        for _ in range(MAX_RUNS):
            run()
            if self._slot("curr") != before:
                break
            self._wait_as_planned()
        self._until(lambda: self._slot("curr") != before)
        self._rest()

    def force_another_key_while_a_server_is_down(self) -> None:
        """Change the key while the secondary is away: who cannot be asked may show anything, so nothing is rolled."""
        before = self._slot("curr")
        self.site.sslops("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
        self.site.dns.stop(SECONDARY)
        for _ in range(2):
            self.run(may_fail=True)
            self._wait_as_planned()

        assert before == self._slot("curr")

        self.judge.all_say(Verdict.VERIFIED)
        self.site.dns.start(SECONDARY)
        self.site.dns.settle()
        self._until(lambda: self._slot("curr") != before)
        self._rest()

    def change_the_ttl(self) -> None:
        """Let records live longer, then as long as before, and change the key each time."""
        for ttl_seconds in (3 * TTL_SECONDS, TTL_SECONDS):
            line = f"dane_tls_ttl: {TTL_SECONDS}\n"
            yaml = self.world.mail_yaml.replace(line, f"dane_tls_ttl: {ttl_seconds}\n")
            self.site.ops.edit({MAIL_FILE: yaml})
            self.force_another_key()

            assert {ttl_seconds} == {self.site.dns.rrset(PRIMARY, owner)[0] for owner in self.world.owners}

    def renew_while_a_restart_fails(self) -> None:
        """Renew while one postfix cannot be reloaded: that host goes back to the old key, and on when it can again."""
        before, host = self._slot("curr"), next(iter(self.site.hosts.values()))
        script = (host.folder / "bin" / RESTART).read_text()
        self.site.sslops("renew", MAIL_TARGET, "--force", "--apply").succeeded()
        host.install(RESTART, "#!/bin/sh\nexit 1\n")
        self._until(lambda: self._slot("curr") != before, may_fail=True)
        self.judge.all_say(Verdict.VERIFIED)
        host.install(RESTART, script)
        self._rest()

    def renew_while_receivers_are_killed(self) -> None:
        """Renew, and kill what works on a host at a step of chance."""
        before, log = self._slot("curr"), self.site.folder / "receivers.log"
        log.unlink(missing_ok=True)
        self.site.sslops("renew", MAIL_TARGET, "--force", "--apply").succeeded()
        options = ["--receiver-log", str(log), "--kill-receiver-at", str(self._dice.randint(1, RECEIVER_STEPS))]
        for _ in range(MAX_RUNS):
            with Launched(self.site.ops, "run", "--apply", options=options) as launched:
                launched.finish()
            if self._slot("curr") != before:
                break
            self._wait_as_planned()
        self._until(lambda: self._slot("curr") != before)
        self._rest()

    def run(self, *, may_fail: bool = False) -> None:
        """Run the one scheduled job of a small site."""
        done = self.site.sslops("run", "--apply")

        assert may_fail or done.exit_code == 0, done.stdout + done.stderr

    def _launch(self, verb: str, patch: str) -> None:
        """Run *verb* with a function of the engine replaced."""
        with Launched(self.site.ops, verb, "--apply", options=["--patch", patch]) as launched:
            launched.finish().succeeded()

    def _run_twice(self, clones: Sequence[OpsRepository]) -> None:
        runs = [Launched(clone, "run", "--apply") for clone in clones]
        for run in runs:
            with run:
                done = run.finish()

            assert done.exit_code in (0, BUSY), done.stdout + done.stderr

    def _is_served(self, generation: str | None) -> bool:
        """Whether every server has the files of *generation*."""
        infos = [host.prod_cert_dir / "example.com/mail-ec/curr/info" for host in self.site.hosts.values()]
        return all(str(generation) in info.read_text() for info in infos)

    def _change_key(self, *how: str) -> None:
        before = self._slot("curr")
        self.site.sslops("renew", MAIL_TARGET, *how, "--apply").succeeded()
        self._until(lambda: self._slot("curr") != before)
        self._rest()

    def _rest(self) -> None:
        """Run until nothing is left to do, and hear the judge."""
        self._until(self._is_at_rest)
        self.judge.all_say(Verdict.VERIFIED)

    def _is_at_rest(self) -> bool:
        plan = json.loads(self.site.sslops("plan", "--json").succeeded().stdout)
        return not plan["actions"] and not plan["waits"]

    def _until(self, holds: Callable[[], bool], *, may_fail: bool = False) -> None:
        for _ in range(MAX_RUNS):
            self.run(may_fail=may_fail)
            if holds():
                return
            self._wait_as_planned()
        raise AssertionError(self.site.sslops("plan").stdout)

    def _wait_as_planned(self) -> None:
        """Wait until the earliest moment that the plan names, as the next scheduled run would."""
        plan = json.loads(self.site.sslops("plan", "--json").stdout)
        times = [parse_time(wait["until"]).timestamp() for wait in plan["waits"] if wait["until"]]
        if times:
            time.sleep(min(max(0.0, min(times) - time.time()), LONGEST_WAIT_SECONDS))

    def _slot(self, slot: str) -> str | None:
        return fields(self.site.ops.show("main", f"state/{MAIL}/slots.yaml"))[slot]
