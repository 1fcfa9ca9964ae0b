"""What every test gets: an environment of its own, servers that end with it, and a search for keys in the open.

A skipped test is a failed one where `CI` is set, but for one that found no IPv6: the last lines of the run tell. What
a test printed and what it committed must not hold a private key.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.world")

# After the line above, so that assertions tell what they compared.
from tests.world import leaks, loopback  # noqa: E402
from tests.world.ops import GIT_CONFIG  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from _pytest.terminal import TerminalReporter

    from tests.world.acme_resolver import Resolver
    from tests.world.acme_site import AcmeSite
    from tests.world.dns import DnsWorld
    from tests.world.mailhost import MailHost
    from tests.world.pebble import Pebble, Policy
    from tests.world.postfix import Postfix
    from tests.world.site import Site
    from tests.world.sshd import Login, SshHost
    from tests.world.validating_resolver import ValidatingResolver

HAS_FAILED = pytest.StashKey[bool]()
COUNTED = "counted"
"""The property under which a test records what it counted, for the last lines of the run."""
LONGEST_FIRST = ({"start_site", "start_acme_site"}, {"world_folder"})
"""Fixtures of the tests that take longest."""
FOREIGN = ("GIT_", "SOPS_", "SSH_", "SSLOPS_", "XDG_", "GITLAB_", "GITHUB_", "CI_", "FORGEJO_", "GITEA_")
"""Prefixes of variables of whoever runs the tests, which must not decide how they end."""

# A stalled machine is no fault of a property. In CI the examples are the same ones each time.
hypothesis.settings.register_profile(
    "sslops",
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
hypothesis.settings.load_profile("sslops")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole sites first, then other tests with servers: what takes long does not begin when the others are done."""

    def rank(item: pytest.Item) -> int:
        names = set(getattr(item, "fixturenames", ()))
        return sum(not fixtures & names for fixtures in LONGEST_FIRST)

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip in CI, and a key in what was printed, into a failure; remember failures for `world_folder`."""
    report = yield
    is_forgiven = hasattr(report, "wasxfail") or loopback.NO_IPV6 in str(report.longrepr)
    if report.skipped and os.environ.get("CI") and not is_forgiven:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    if any(leaks.holds_key(text.encode(errors="replace")) for _, text in report.sections):
        report.outcome = "failed"
        report.longrepr = "a private key was printed"
        report.sections = []
    if report.failed:
        item.stash[HAS_FAILED] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a module that is skipped as a whole into a failure in CI."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(GIT_CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(FOREIGN)]:
            patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield


@pytest.fixture(autouse=True)
def _no_key_committed(request: pytest.FixtureRequest) -> Iterator[None]:
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None and "key_in_clear" not in request.keywords:
        leaks.assert_no_key_below(folder)


@pytest.fixture
def world_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Yield a folder with a short path, for servers; it stays, and is named, when the test failed."""
    folder = Path(tempfile.mkdtemp(prefix="sslops-"))
    yield folder
    if "key_in_clear" not in request.keywords:
        leaks.assert_no_key_below(folder)
    if request.node.stash.get(HAS_FAILED, False):
        print(f"what the servers wrote is kept in {folder}")
    else:
        shutil.rmtree(folder)


@pytest.fixture
def dns_world(world_folder: Path) -> Iterator[DnsWorld]:
    """Yield a signed primary and a secondary that serve example.com and example.net from a DNS repository."""
    from tests.world.dns import DnsWorld

    world = DnsWorld(world_folder / "dns")
    yield world
    world.close()


@pytest.fixture
def resolver(world_folder: Path, dns_world: DnsWorld) -> Iterator[Resolver]:
    """Yield a resolver without memory that asks either server of `dns_world`."""
    from tests.world.acme_resolver import Resolver

    started = Resolver(world_folder / "resolver", dns_world)
    yield started
    started.stop()


@pytest.fixture
def validator(world_folder: Path, dns_world: DnsWorld) -> Iterator[ValidatingResolver]:
    """Yield a resolver that validates and caches, in front of both servers of `dns_world`."""
    from tests.world.validating_resolver import ValidatingResolver

    started = ValidatingResolver(world_folder / "validator", dns_world)
    yield started
    started.stop()


@pytest.fixture
def start_pebble(world_folder: Path, resolver: Resolver) -> Iterator[Callable[..., Pebble]]:
    """Yield a function that starts an ACME server of a given `Policy`, which asks the `resolver`."""
    from tests.world.pebble import Pebble

    started: list[Pebble] = []

    def start(policy: Policy | None = None) -> Pebble:
        folder = world_folder / f"pebble{len(started)}"
        started.append(Pebble(folder, resolver.endpoint, policy))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def pebble(start_pebble: Callable[..., Pebble]) -> Pebble:
    """Return an ACME server with the usual policy."""
    return start_pebble()


@pytest.fixture
def login(world_folder: Path) -> Login:
    """Return the key and ssh_config that log in to every `ssh_host`."""
    from tests.world.sshd import Login

    return Login(world_folder / "login")


@pytest.fixture
def ssh_host(world_folder: Path, login: Login) -> Iterator[Callable[[str], SshHost]]:
    """Yield a function that starts a server of a given name."""
    from tests.world.sshd import SshHost

    hosts: list[SshHost] = []

    def start(name: str) -> SshHost:
        hosts.append(SshHost(world_folder / name.partition(".")[0], name, login))
        return hosts[-1]

    yield start
    for host in hosts:
        host.stop()


@pytest.fixture
def mail_host(world_folder: Path) -> Iterator[Callable[..., MailHost]]:
    """Yield a function that starts a listener: `mail_host(source, ..., is_shared=False)`; see `MailHost`.

    A shared one is on 127.0.0.1, where others are too, and on ports that are free there.
    """
    from tests.world.loopback import free_ports, fresh_address
    from tests.world.mailhost import MailHost

    started: list[MailHost] = []

    def start(*sources: Path, is_shared: bool = False) -> MailHost:
        folder = world_folder / f"listener{len(started)}"
        if is_shared:
            smtp, tls, control = free_ports(3)
            ports = {"smtp_port": smtp, "tls_port": tls, "control_port": control}
            started.append(MailHost(folder, "127.0.0.1", sources, **ports))
        else:
            started.append(MailHost(folder, fresh_address(), sources))
        return started[-1]

    yield start
    for listener in started:
        listener.stop()


@pytest.fixture
def postfix(world_folder: Path) -> Iterator[Callable[[Path], Postfix]]:
    """Yield a function that starts a postfix which serves `fullchain.pem` and `privkey.pem` of a folder."""
    from tests.world.postfix import Postfix

    started: list[Postfix] = []

    def start(source: Path) -> Postfix:
        started.append(Postfix(world_folder / f"postfix{len(started)}", source))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def start_site(world_folder: Path) -> Iterator[Callable[..., Site]]:
    """Yield a function that starts a whole site with the arguments of `Site` (but for its folder)."""
    from tests.world.site import Site

    sites: list[Site] = []

    def start(**wishes: object) -> Site:
        sites.append(Site(world_folder / f"site{len(sites)}", **wishes))  # type: ignore[arg-type]
        return sites[-1]

    yield start
    for site in sites:
        site.close()


@pytest.fixture
def site(start_site: Callable[..., Site]) -> Site:
    """Return a whole site with a remote."""
    return start_site()


@pytest.fixture
def start_acme_site(world_folder: Path) -> Iterator[Callable[..., AcmeSite]]:
    """Yield a function that starts a site with an ACME CA, with the arguments of `AcmeSite` (but for its folder)."""
    from tests.world.acme_site import AcmeSite

    sites: list[AcmeSite] = []

    def start(**wishes: object) -> AcmeSite:
        sites.append(AcmeSite(world_folder / f"site{len(sites)}", **wishes))  # type: ignore[arg-type]
        return sites[-1]

    yield start
    for site in sites:
        site.close()


@pytest.fixture
def acme_site(start_acme_site: Callable[..., AcmeSite]) -> AcmeSite:
    """Return a site with a remote and an ACME CA."""
    return start_acme_site()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what tests counted: each property that one recorded under `counted`, wherever it ran; and what lacked."""
    for report in terminalreporter.stats.get("passed", []):
        for name, said in report.user_properties:
            if name == COUNTED:
                terminalreporter.write_line(str(said))
    if any(loopback.NO_IPV6 in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_sep("!", loopback.NO_IPV6, red=True, bold=True)
