"""What can happen, as a table; and scripts: histories as plain data, that random search writes and anybody replays.

`worlds` has what else may be beside one site, each part with a table of its own; it plays scripts and writes them.

A step is the name of an action and a few numbers that choose among what there is at that moment. A step that cannot
happen then does nothing, so any script, shortened anywhere, is a script.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from sslops.simulate.hosts import HostFate
from tests.proof import life as of
from tests.proof.life import LARGE, SHORT, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.proof.life import Life


T = TypeVar("T")

SETTINGS = {
    "one key": Setting(),
    "from nothing": Setting(begins="nothing"),
    "after a roll": Setting(begins="rolled"),
    "a large TTL": Setting(ttl_seconds=LARGE),
    "EC and RSA": Setting(services=(of.EC, of.RSA)),
    "two folders": Setting(views=2),
    "two folders, after a roll": Setting(views=2, begins="rolled"),
    "reviewed": Setting(is_reviewed=True),
    "reviewed, after a roll": Setting(is_reviewed=True, begins="rolled"),
    "everything": Setting(is_reviewed=True, views=2, services=(of.EC, of.RSA)),
}
"""The worlds that are searched, by name."""
BY_ITSELF = {
    "the forge merges": Setting(is_reviewed=True, begins="rolled", forge_merges=True),
    "the forge merges later": Setting(is_reviewed=True, begins="rolled", forge_merges=False),
    "the forge merges, two folders": Setting(is_reviewed=True, views=2, forge_merges=True),
}
"""Those where a forge merges what it is asked to merge."""

SERVERS = {
    "include files restart daemons": Setting(depends=("dns",)),
    "include files restart daemons, after a roll": Setting(depends=("dns",), services=(of.EC, of.RSA), begins="rolled"),
    "hosts of two classes": Setting(classes=("imap", "smtp"), services=(of.EC, of.RSA)),
    "hosts of two classes, reviewed": Setting(
        classes=("imap", "smtp"), depends=("dns",), is_reviewed=True, begins="rolled"
    ),
}
"""Those where hosts are in several classes, or restart for more than a certificate."""

KINDS = tuple(
    frozenset(kinds)
    for kinds in (
        [of.KEY],
        [of.KEY, of.WHOLE],
        [of.WHOLE],
        [of.CA_KEY],
        [of.KEY, of.CA_WHOLE],
        [of.CA_WHOLE],
        [of.KEY, of.IN_FULL],
        [of.LONG_HASH],
        [of.CA_LONG],
        [],
    )
)
PORTS = (frozenset({of.SMTP}), frozenset({of.SUBMISSION}), frozenset({of.SMTP, of.SUBMISSION}))
MX = (frozenset({of.MAIL}), frozenset({of.SPARE}), frozenset({of.MAIL, of.SPARE}))
SECONDS = (1, SHORT, 2 * SHORT, 2 * SHORT + 1, LARGE, 2 * LARGE + 1)
SKEWS = (0, -2, 2)
FAR_OFF = (600, -600, 90)
MISHAPS = tuple(fate for fate in HostFate if fate is not HostFate.WELL)
FATES = (HostFate.WELL,) * len(MISHAPS) + MISHAPS
MOST_RUNS, MOST_STRANDS = 3, 6
BEGUN = (None, None, None, None, 1, 3, 6, 12)
"""How many calls of ports a run does that begins; null: those before its first write."""
CALLS = (None, None, None, 1, 1, 4)
"""How many a run does that goes on; null: those before its next write."""
MOST_PICKS, MOST_CHOICES = 3, 60


class Pick:
    """Chooses among options by the numbers of a step, one after the other; zero when there are no more."""

    def __init__(self, numbers: Sequence[int]) -> None:
        """Begin with the first number."""
        self._left = list(numbers)

    def __call__(self, options: Sequence[T]) -> T:
        """Return one of *options*, which must not be empty."""
        number = self._left.pop(0) if self._left else 0
        return options[number % len(options)]


@dataclass(frozen=True, slots=True)
class Step:
    """One action and its choices."""

    action: str
    picks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """A history: the setting it begins in, and its steps."""

    setting: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        """Return it as a person reads it."""
        return "\n".join([f"in the setting '{self.setting}'", *(f"  {s.action} {list(s.picks)}" for s in self.steps)])


# What can happen. Each takes the world and a way to choose.


def _time_passes(life: Life, pick: Pick) -> None:
    life.wait(pick(SECONDS))


def _server_loads(life: Life, pick: Pick) -> None:
    life.load(pick(range(3)))


def _all_load(life: Life, _: Pick) -> None:
    life.load_all()


def _server_falls_silent(life: Life, pick: Pick) -> None:
    server = pick(life.line.servers)
    server.is_silent = not server.is_silent


def _zone_is_unheard_of(life: Life, _: Pick) -> None:
    life.line.is_unheard = not life.line.is_unheard


def _server_joins_or_leaves(life: Life, _: Pick) -> None:
    if len(life.line.servers) == 2:
        life.add_server()
    else:
        life.remove_server()


def _host_dies_or_returns(life: Life, pick: Pick) -> None:
    host = life.world.hosts[pick(of.HOSTS)]
    host.is_up = not host.is_up


def _host_joins_or_leaves(life: Life, _: Pick) -> None:
    life.host_names = of.HOSTS if len(life.host_names) == 2 else of.HOSTS[:2]
    life.configure()


def _host_is_switched_off(life: Life, _: Pick) -> None:
    name = of.HOSTS[2]
    if name not in life.host_names:
        host = life.world.hosts[name]
        for service in {*host.files, *host.serving}:
            host.remove(service)
        host.under_way.clear()
        life.forget(name)


def _kinds_change(life: Life, pick: Pick) -> None:
    service = pick(sorted(life.asks))
    if life.curr(service) is not None:
        life.asks[service] = pick(KINDS)
        life.configure()


def _ports_change(life: Life, pick: Pick) -> None:
    life.ports = pick(PORTS)
    life.configure()


def _mail_hosts_change(life: Life, pick: Pick) -> None:
    life.mx = pick(MX)
    life.configure()


def _ttl_changes(life: Life, pick: Pick) -> None:
    life.ttl_seconds = pick((SHORT, LARGE))
    life.configure()


def _service_joins(life: Life, pick: Pick) -> None:
    service = pick(of.LEAVES)
    # One that hosts still show comes back under the names that it had: daemons are not our business.
    if service not in life.asks and life.shown_at.get(service, {*life.met(service)}) >= {*life.met(service)}:
        life.asks[service] = frozenset({of.KEY})
        life.configure()
        life.make_key(service)


def _service_is_retired(life: Life, pick: Pick) -> None:
    service = pick(of.LEAVES)
    if len(life.asks) > 1 and life.asks.pop(service, None) is not None:
        life.configure()


def _service_is_renamed(life: Life, pick: Pick) -> None:
    old, new = pick(sorted(life.asks)), pick(of.LEAVES)
    if new not in life.asks and life.shown_at.get(new, {*life.met(new)}) >= {*life.met(new)}:
        life.asks[new] = life.asks.pop(old)
        life.configure()
        life.make_key(new)


def _retired_is_taken_away(life: Life, _: Pick) -> None:
    life.retire_from_hosts()


def _key_is_made(life: Life, pick: Pick) -> None:
    life.make_key(pick(sorted(life.asks)), replaces=pick((False, False, True)))


def _certificate_is_issued(life: Life, pick: Pick) -> None:
    life.issue(pick(sorted(life.asks)))


def _certificate_is_renewed(life: Life, pick: Pick) -> None:
    service = pick(sorted(life.asks))
    life.make_key(service)
    life.issue(service)


def _ca_is_renewed(life: Life, _: Pick) -> None:
    life.make_key(of.CA)
    life.issue(of.CA)


def _publish_runs(life: Life, pick: Pick) -> None:
    life.run("publish", skew_seconds=pick(SKEWS))


def _roll_runs(life: Life, pick: Pick) -> None:
    life.run("roll", skew_seconds=pick(SKEWS))


def _deploy_runs(life: Life, pick: Pick) -> None:
    life.run("deploy", skew_seconds=pick(SKEWS))


def _deploy_runs_by_a_clock_far_off(life: Life, pick: Pick) -> None:
    life.run("deploy", skew_seconds=pick(FAR_OFF))


def _deploy_goes_wrong(life: Life, pick: Pick) -> None:
    life.run("deploy", pick(MISHAPS), pick(SKEWS))


def _restarts_are_forced(life: Life, pick: Pick) -> None:
    life.run(of.RESTART, pick(FATES), pick(SKEWS))


def _file_is_touched(life: Life, pick: Pick) -> None:
    host = life.world.hosts[pick(of.HOSTS)]
    host.damaged |= host.files.keys()


def _publish_reaches_everybody(life: Life, _: Pick) -> None:
    life.run("publish")
    life.load_all()
    life.run("publish")


def _jobs_run(life: Life, pick: Pick) -> None:
    for verb in ("publish", "roll", "deploy", "publish"):
        life.run(verb)
        life.load_all()
    life.wait(pick((1, 2 * SHORT + 1, 2 * LARGE + 1)))


def _publish_begins(life: Life, pick: Pick) -> None:
    if len(life.active) < MOST_RUNS:
        life.begin("publish", skew_seconds=pick(SKEWS), calls=pick(BEGUN))


def _publish_falls_asleep(life: Life, _: Pick) -> None:
    if len(life.active) < MOST_RUNS:
        life.fall_asleep()


def _roll_begins(life: Life, pick: Pick) -> None:
    if len(life.active) < MOST_RUNS:
        life.begin("roll", skew_seconds=pick(SKEWS), calls=pick(BEGUN))


def _deploy_begins(life: Life, pick: Pick) -> None:
    if len(life.active) < MOST_RUNS:
        life.begin("deploy", pick(FATES), pick(SKEWS), pick(BEGUN))


def _run_goes_on(life: Life, pick: Pick) -> None:
    if life.active:
        life.go_on(pick(life.active), pick(range(MOST_STRANDS)), calls=pick(CALLS))


def _run_ends(life: Life, pick: Pick) -> None:
    if life.active:
        life.end(pick(life.active))


def _run_is_killed(life: Life, pick: Pick) -> None:
    if life.active:
        life.kill(pick(life.active))


def _daemon_loads(life: Life, pick: Pick) -> None:
    life.world.hosts[pick(of.HOSTS)].restart()


def _receiver_wakes(life: Life, pick: Pick) -> None:
    waiting = [host for host in life.world.hosts.values() if host.under_way]
    if waiting:
        host = pick(waiting)
        host.arrive(pick(range(len(host.under_way))))


def _challenges_are_shown(life: Life, pick: Pick) -> None:
    life.challenges(pick((True, False)), begins=pick((False, False, True)))


def _challenges_are_merged(life: Life, _: Pick) -> None:
    if life.world.acme_forge is not None:
        life.world.acme_forge.people_merge()


def _roll_is_reverted(life: Life, pick: Pick) -> None:
    service = pick(sorted(life.asks))
    past = [slots for slots in life.world.ops.past_slots(service) if slots.curr is not None]
    if past and life.curr(service) is not None:
        life.world.ops.revert(service, pick(past[::-1]))


def _reverted_while_a_publish_sleeps(life: Life, pick: Pick) -> None:
    if len(life.active) < MOST_RUNS:
        is_gone = pick((False, True))
        if is_gone:
            life.world.dns.delete_branch()
        life.fall_asleep()
        _roll_is_reverted(life, pick)
        life.run("publish")
        life.run("deploy")
        if is_gone:
            life.world.dns.delete_branch()


def _roll_is_merged(life: Life, _: Pick) -> None:
    if life.world.ops_forge is not None:
        life.world.ops_forge.people_merge()


def _proposal_is_merged(life: Life, pick: Pick) -> None:
    if life.world.dns_forge is not None:
        life.world.dns_forge.people_merge(squashes=pick((False, False, True)))


def _proposal_is_declined(life: Life, _: Pick) -> None:
    if life.world.dns_forge is not None:
        life.world.dns_forge.people_close()


def _proposal_is_reopened(life: Life, _: Pick) -> None:
    if life.world.dns_forge is not None:
        life.world.dns_forge.people_reopen()


def _branch_is_deleted(life: Life, _: Pick) -> None:
    life.world.dns.delete_branch()


def _include_file_is_emptied(life: Life, _: Pick) -> None:
    life.empty_by_hand()


def _unneeded_record_is_dropped(life: Life, pick: Pick) -> None:
    unneeded = life.unneeded()
    if unneeded:
        life.drop_by_hand(*pick(unneeded), first_folder=pick(range(life.setting.views)))


def _last_commit_is_reverted(life: Life, _: Pick) -> None:
    life.restore_by_hand()


def _ledger_is_lost(life: Life, _: Pick) -> None:
    life.lose_the_ledger()


@dataclass(frozen=True, slots=True)
class Action:
    """What may happen, and how often it is chosen beside the others."""

    do: Callable[[Life, Pick], None]
    weight: int = 2


ACTIONS = {
    "time passes": Action(_time_passes, 8),
    "a server loads": Action(_server_loads, 5),
    "all servers load": Action(_all_load, 5),
    "a server falls silent or answers again": Action(_server_falls_silent, 1),
    "nobody tells the MX, or tells it again": Action(_zone_is_unheard_of, 1),
    "a server joins or leaves": Action(_server_joins_or_leaves, 1),
    "a host dies or returns": Action(_host_dies_or_returns),
    "a host joins or leaves": Action(_host_joins_or_leaves, 1),
    "a host that left is switched off": Action(_host_is_switched_off, 1),
    "other kinds of record are asked for": Action(_kinds_change, 3),
    "other ports are asked for": Action(_ports_change, 1),
    "mail hosts change": Action(_mail_hosts_change, 1),
    "the TTL changes": Action(_ttl_changes),
    "a service joins": Action(_service_joins, 1),
    "a service is retired": Action(_service_is_retired, 1),
    "a service is renamed": Action(_service_is_renamed, 1),
    "what is retired is taken away": Action(_retired_is_taken_away, 1),
    "a key is made": Action(_key_is_made, 3),
    "a certificate is issued": Action(_certificate_is_issued, 3),
    "a certificate is renewed": Action(_certificate_is_renewed, 3),
    "the CA is renewed": Action(_ca_is_renewed, 1),
    "publish runs": Action(_publish_runs, 3),
    "roll runs": Action(_roll_runs, 4),
    "deploy runs": Action(_deploy_runs, 5),
    "a deploy runs by a clock that is far off": Action(_deploy_runs_by_a_clock_far_off, 1),
    "deploy goes wrong": Action(_deploy_goes_wrong, 3),
    "daemons are restarted by force": Action(_restarts_are_forced, 1),
    "a file on a host is touched": Action(_file_is_touched, 1),
    "publish reaches everybody": Action(_publish_reaches_everybody, 6),
    "all jobs run": Action(_jobs_run, 2),
    "a publish begins": Action(_publish_begins, 3),
    "a publish falls asleep before it proposes": Action(_publish_falls_asleep),
    "a roll begins": Action(_roll_begins, 1),
    "a deploy begins": Action(_deploy_begins, 3),
    "a run goes on": Action(_run_goes_on, 8),
    "a run ends": Action(_run_ends, 3),
    "a run is killed": Action(_run_is_killed),
    "a daemon loads what is there": Action(_daemon_loads, 1),
    "a receiver wakes up": Action(_receiver_wakes, 4),
    "challenges are shown, or taken away": Action(_challenges_are_shown, 1),
    "challenges are merged": Action(_challenges_are_merged, 1),
    "a roll is reverted on main": Action(_roll_is_reverted, 4),
    "a roll is reverted and deployed while a publish sleeps": Action(_reverted_while_a_publish_sleeps, 1),
    "a roll is merged": Action(_roll_is_merged, 3),
    "a DNS proposal is merged": Action(_proposal_is_merged, 3),
    "a DNS proposal is closed": Action(_proposal_is_declined, 1),
    "a DNS proposal is opened again": Action(_proposal_is_reopened, 1),
    "the branch of proposals is deleted": Action(_branch_is_deleted, 1),
    "the include file is emptied by hand": Action(_include_file_is_emptied, 1),
    "a record that nobody needs is dropped by hand": Action(_unneeded_record_is_dropped, 1),
    "the last DNS commit is reverted": Action(_last_commit_is_reverted, 1),
    "the ledger is lost": Action(_ledger_is_lost, 1),
}


def _forge_merges(life: Life, pick: Pick) -> None:
    world = life.world
    forge = pick((world.dns_forge, world.ops_forge, world.acme_forge))
    if forge is not None:
        forge.merge_scheduled()


LATE_MERGES = {"the forge merges what it was asked to": Action(_forge_merges, 6)}


def shortened(script: Script, fails: Callable[[Script], bool]) -> Script:
    """Return the script without the steps that it fails without too, and with small numbers."""
    size = len(script.steps) // 2
    while size:
        place = 0
        while place < len(script.steps):
            fewer = replace(script, steps=script.steps[:place] + script.steps[place + size :])
            if fails(fewer):
                script = fewer
            else:
                place += size
        size //= 2
    return script


__all__ = ["ACTIONS", "BY_ITSELF", "LATE_MERGES", "SETTINGS", "Script", "Step", "shortened"]
