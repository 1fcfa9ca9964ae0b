"""The promise of design section 2, searched for a way to break it, and broken wherever a check is left out."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sslops.simulate.hosts import HostFate
from tests.proof.life import EC, KEY, LARGE, RSA, WHOLE, Life
from tests.proof.machine import ACTIONS, MOST_CHOICES, MOST_PICKS, SETTINGS, Script, Step
from tests.proof.mutations import MUTATIONS, RULES, mutated
from tests.proof.search import BROKEN, first_seed, judged, search
from tests.proof.worlds import ALONE, BESIDE, begun

steps = st.builds(
    Step,
    st.sampled_from(sorted(ACTIONS)),
    st.lists(st.integers(0, MOST_CHOICES), max_size=MOST_PICKS).map(tuple),
)
scripts = st.builds(Script, st.sampled_from(sorted(SETTINGS)), st.lists(steps, max_size=30).map(tuple))


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_no_history_breaks_what_a_cache_may_hold(setting: str) -> None:
    """Whatever runs, sleeps, lags, leaves or is taken back; and afterwards everything comes to rest."""
    assert [] == [str(found) for found in search(range(12), 45, (setting,))]


@pytest.mark.parametrize("setting", [name for part in BESIDE for name in part.names])
def test_no_history_breaks_it_with_more_than_one_site_alone(setting: str) -> None:
    """Records of others, a second group, a public CA, hosts that only keep copies: the same promise, the same rest."""
    assert [] == [str(found) for found in search(range(2), 45, (setting,))]


@settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(script=scripts)
def test_no_history_that_hypothesis_thinks_of_breaks_it(script: Script) -> None:
    """The same histories, written by somebody else, who shortens what fails."""
    assert judged(script) is None


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_search_finds_a_check_that_is_left_out(name: str) -> None:
    """Without the check it meets a cache that does not match a host, or a site that never comes to rest."""
    begin = MUTATIONS[name].seed
    assert first_seed(name, range(begin, begin + 400)) is not None


def test_each_of_the_five_rules_is_left_out_somewhere() -> None:
    """A rule that no mutation touches would be one that nobody knows to matter."""
    assert set(RULES) == {mutation.rule for mutation in MUTATIONS.values()}


def test_every_check_that_is_left_out_is_one_of_production() -> None:
    """A mutation of the fakes, or of the tests, would show that these need themselves."""
    owners = {owner for mutation in MUTATIONS.values() for owner, _, _ in mutation.wrong}
    modules = {owner.__name__ if isinstance(owner, ModuleType) else owner.__module__ for owner in owners}
    played = {name for name in modules if name.startswith("sslops.") and not name.startswith("sslops.simulate")}

    assert modules == played


@pytest.mark.parametrize("setting", [name for part in (ALONE, *BESIDE) for name in part.names])
def test_a_plain_key_change_comes_to_its_end(setting: str) -> None:
    """The checks do not stop progress: the second key is served everywhere, and only its record is left."""
    life = begun(setting)
    life.come_to_rest()
    assert [] == life.unfinished()


def test_a_new_combination_takes_the_place_of_the_old_one_without_a_renewal() -> None:
    """First both, then the new one alone; the key stays."""
    life = Life()
    life.asks[EC] = frozenset({WHOLE})
    life.configure()
    life.rest()
    combinations = [
        {params for rrset in commit.views[0].values() for params in rrset.combinations} for commit in life.line.commits
    ]
    assert [{KEY, WHOLE}, {WHOLE}] == combinations[-2:]


FOUND = {
    "a lost ledger, and a CA whose record is at a name that the certificate is not for": Script(
        "two groups, after a roll",
        (
            Step("other ports are asked for", (59, 14, 47)),
            Step("publish reaches everybody", (23, 1, 31)),
            Step("a host dies or returns", (57, 4, 6)),
            Step("other kinds of record are asked for", (5, 43, 58)),
            Step("all jobs run", (45, 57, 55)),
            Step("the ledger is lost", (39, 46, 58)),
            Step("publish reaches everybody", (23, 21, 1)),
        ),
    ),
    "two services retired, and of their records only those of their CA left": Script(
        "EC and RSA",
        (
            Step("the CA is renewed", (7, 39, 11)),
            Step("a service is retired", (40, 0, 41)),
            Step("other kinds of record are asked for", (56, 28, 43)),
            Step("a service is renamed", (28, 29, 32)),
        ),
    ),
    "DANE off for one of two services, the other goes by the CA and back": Script(
        "EC and RSA",
        (
            Step("other kinds of record are asked for", (1, 9)),
            Step("other kinds of record are asked for", (0, 5)),
            *[Step("all jobs run", (2,))] * 3,
            Step("other kinds of record are asked for", (0, 0)),
            *[Step("all jobs run", (2,))] * 2,
        ),
    ),
    "two groups rest on one port, and a mail host of both had records of one of them there": Script(
        "two groups, no SNI",
        (
            Step("nobody tells the other MX, or tells it again", (53, 18, 7)),
            Step("other ports are asked for", (16, 25, 13)),
            Step("mail hosts change", (34, 54, 2)),
        ),
    ),
    "consent to give a name up that others have a record of beside it": Script(
        "consents",
        (
            Step("other ports are asked for", (49, 37, 50)),
            Step("people consent that records of nobody go, or take it back", (0, 38, 27)),
            Step("somebody adds a record beside the include file", (12, 22, 27)),
            Step("publish reaches everybody", (39, 17, 59)),
        ),
    ),
    "a host joins where one group's certificate cannot match the record of a CA that is on its way out": Script(
        "two groups, after a roll",
        (
            Step("mail hosts of both groups change", (47, 40, 13)),
            Step("other kinds of record are asked for", (2, 4, 17)),
            Step("a group rests or wakes", (0, 2, 7)),
            Step("other ports are asked for", (8, 8, 20)),
            Step("publish reaches everybody", (37, 3, 11)),
            Step("a host joins or leaves", (59, 5, 59)),
        ),
    ),
    "a lost ledger, and a host whose files are damaged and whose restart fails": Script(
        "two folders, after a roll",
        (
            Step("publish reaches everybody", (18, 29, 33)),
            Step("the ledger is lost", (45, 11, 10)),
            Step("a publish falls asleep before it proposes", (0, 55, 38)),
            Step("time passes", (52, 6, 16)),
            Step("a file on a host is touched", (54, 50, 37)),
            Step("deploy goes wrong", (4, 36, 5)),
        ),
    ),
    "DANE off while a silent server has a record of others": Script(
        "records of others, two folders",
        (
            Step("other kinds of record are asked for", (55, 9, 9)),
            Step("somebody adds a record beside the include file", (24, 25, 59)),
            Step("a server falls silent or answers again", (33, 0, 8)),
            Step("publish reaches everybody", (35, 19, 47)),
        ),
    ),
    "a person takes a record of another tool away while ours joins it": Script(
        "records of others, from nothing",
        (
            Step("somebody adds a record beside the include file", (32, 51, 0)),
            Step("publish reaches everybody", (4, 57, 6)),
            Step("somebody takes it away beside the include file", (40, 21, 2)),
        ),
    ),
    "a record of another tool that was in the include file and lies beside it": Script(
        "records of others, from nothing",
        (
            Step("somebody adds a record beside the include file", (28, 3, 26)),
            Step("a certificate is renewed", (21, 30, 47)),
            Step("somebody adds a record to the include file", (40, 33, 14)),
            Step("publish runs", (25, 13, 36)),
            Step("somebody takes it out of the include file", (16, 21, 26)),
            *[Step("publish reaches everybody")] * 2,
        ),
    ),
    "records at a name that nobody asks for, and a host of another tool that was never reached": Script(
        "records of others, from nothing",
        (
            Step("a host dies or returns", (43, 48, 16)),
            Step("a certificate is renewed", (42, 32, 53)),
            Step("all jobs run", (20, 19, 18)),
            Step("a certificate is renewed", (29, 37, 16)),
            Step("roll runs"),
            Step("somebody adds a record to the include file", (17, 39, 47)),
        ),
    ),
}


BY_OTHERS = "records of others"
RENEWED = (Step("a certificate is renewed"), *[Step("all jobs run", (2,))] * 3)
WHOLE_TOO = (Step("other kinds of record are asked for", (0, 1)), *[Step("all jobs run", (2,))] * 3)


@pytest.mark.parametrize("kind", [0, 6])
@pytest.mark.parametrize(
    "end",
    [
        Step("mail hosts change", (1,)),
        Step("other ports are asked for", (1,)),
        Step("other kinds of record are asked for", (0, 0)),
        Step("other kinds of record are asked for", (0, 9)),
    ],
)
def test_a_copy_of_a_withdrawn_record_is_never_left_alone(kind: int, end: Step) -> None:
    """Somebody copied our record beside the include file and left it there; then the name, or its kind, is given up."""
    copied = Step("somebody adds a record beside the include file", (0, kind, 0))
    script = Script(BY_OTHERS, (*WHOLE_TOO, copied, *RENEWED, end, Step("publish reaches everybody")))

    assert judged(script) is None


@pytest.mark.parametrize("between", ["publish runs", "roll runs", "deploy runs", "all jobs run"])
def test_a_host_that_served_for_a_while_keeps_its_record_when_it_is_to_keep_copies_again(between: str) -> None:
    """Whatever run came in between wrote down that it may serve; its daemon runs on, and no ssh reaches it."""
    turns = Step("a host turns from copies to serving, or back", (1, 1))
    dies = Step("a host dies or returns", (1,))
    script = Script("copies", (turns, Step("a key is made"), Step(between), turns, dies, *RENEWED * 3))

    assert judged(script) is None


@pytest.mark.parametrize("between", ["publish", "roll", "deploy"])
def test_a_service_that_left_and_came_back_is_served_again(between: str) -> None:
    """Its files were taken away meanwhile, and the certificate is the same; whatever run was there had doubts."""
    life = Life(SETTINGS["EC and RSA"])
    asked = life.asks.pop(RSA)
    life.configure()
    life.run(between)
    life.retire_from_hosts()
    life.asks[RSA] = asked
    life.configure()
    life.rest()

    assert [life.curr(RSA)] * 2 == [life.world.hosts[name].serving.get(RSA) for name in life.host_names]


@pytest.mark.parametrize("name", FOUND)
def test_what_the_search_once_found_stays_mended(name: str) -> None:
    """Each led to a cache that did not match, or to a site that waited for ever."""
    assert judged(FOUND[name]) is None


def lagging(*, ttl_changes: bool) -> Script:
    """Return a history in which a combination is withdrawn while the second server still shows it."""
    begin = [
        Step("other kinds of record are asked for", (0, 1)),
        Step("all jobs run", (2,)),
        Step("all jobs run", (2,)),
    ]
    key = [Step("a key is made"), Step("publish reaches everybody"), Step("time passes", (5,))]
    change = [Step("the TTL changes", (1,))] if ttl_changes else []
    withdrawn = [Step("other kinds of record are asked for", (0, 0)), *change, Step("publish runs")]
    late = [Step("a certificate is issued"), Step("a server loads", (0,)), Step("publish runs"), Step("time passes")]
    rolled = [Step("a server loads", (1,)), Step("publish runs"), Step("roll runs"), Step("deploy runs")]
    return Script("one key", (*begin, *key, *withdrawn, *late, *rolled))


@pytest.mark.parametrize("ttl_changes", [False, True])
def test_a_withdrawn_combination_counts_until_the_last_server_forgot_it(ttl_changes: bool) -> None:
    """Also when a look in between had something else to write down: a TTL that changed with the same commit."""
    assert judged(lagging(ttl_changes=ttl_changes)) is None


def test_a_retired_service_is_unknown_while_a_port_shows_what_no_slot_explains() -> None:
    """Its roll was reverted, it was renamed, and the ledger lost, all before the next deploy: its record must stay."""
    retired = [
        Step("a certificate is renewed"),
        Step("a roll is reverted on main", (0, 1)),
        Step("a service is renamed", (0, 2)),
    ]
    script = Script("after a roll", (*retired, Step("the ledger is lost"), Step("publish reaches everybody")))
    assert judged(script) is None


LEFT_WITH_A_LOST_LEDGER = Script(
    "one key",
    (
        Step("a host joins or leaves"),
        Step("deploy runs"),
        Step("the ledger is lost"),
        Step("a certificate is renewed", (2,)),
        Step("a host joins or leaves"),
        Step("all jobs run", (1,)),
        Step("all jobs run", (1,)),
    ),
)
"""A host is served, the ledger lost, and the host leaves the inventory before anybody asked it again."""


def test_what_a_host_serves_that_left_with_a_lost_ledger_keeps_its_record() -> None:
    """Nobody knows of it, but what was issued before the loss may be served until it expires or no address shows it."""
    assert judged(LEFT_WITH_A_LOST_LEDGER) is None


def test_a_host_that_left_with_a_lost_ledger_breaks_a_cache_where_nothing_counts_as_forgotten() -> None:
    """Without that rule the record goes with the next key change."""
    with mutated("a lost ledger had nothing to forget"):
        found = judged(LEFT_WITH_A_LOST_LEDGER)
    assert found is not None
    assert BROKEN == found.kind


def test_a_deploy_whose_clock_hosts_contradict_dates_no_record() -> None:
    """Its clock is minutes behind: it serves nothing, and a record that it is the first to see is no older for that."""
    life = Life(SETTINGS["after a roll"])
    life.run("publish")
    life.load_all()
    life.run("publish")
    life.wait(3 * LARGE)
    life.world.ops.revert(EC, life.world.ops.past_slots(EC)[0])
    life.run("publish")
    life.load_all()
    served = dict(life.world.hosts["smtp1"].serving)
    life.run("deploy", skew_seconds=-600)
    life.run("deploy")

    assert served == life.world.hosts["smtp1"].serving

    life.come_to_rest()

    assert [] == life.unfinished()


def test_a_service_that_leaves_between_its_files_and_the_restart_keeps_its_record() -> None:
    """Its port does not show it yet, but the next restart of the daemon will."""
    life = Life()
    life.asks[RSA] = frozenset({KEY})
    life.configure()
    life.make_key(RSA)
    life.issue(RSA)
    for _ in range(2):
        life.run("publish")
        life.load_all()
        life.wait(3 * LARGE)
    life.run("roll")
    life.run("deploy", HostFate.KILLED_HALFWAY)
    life.asks.pop(RSA)
    life.configure()
    for verb in ("deploy", "publish", "publish"):
        life.run(verb)
        life.load_all()
    life.wait(3 * LARGE)
    life.make_key(EC)
    life.issue(EC)
    for verb in ("publish", "publish", "roll", "deploy"):
        life.run(verb)
        life.load_all()
        life.wait(3 * LARGE)

    serving = life.world.hosts["smtp1"].serving

    assert life.curr(EC) == serving[EC]
    assert RSA in serving
