"""The accounts at ACME servers: is the one in use still good? The server is asked, where the account opens here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.acme.account import read_account
from sslops.acme.client import AcmeClient
from sslops.doctor.findings import Finding, Health
from sslops.errors import AcmeError, NoIdentity, SslopsError, bugs_of
from sslops.model.inventory import CaType
from sslops.repo.git import Git
from sslops.repo.state_files import account_path
from sslops.secrets.sops import Sops
from sslops.system.clock import SystemClock
from sslops.system.extras import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.doctor.findings import Patient
    from sslops.model.acme import Account
    from sslops.model.inventory import CertificateAuthority, Inventory

_VERBS = ("renew", "run")


def acme_accounts(patient: Patient) -> Iterator[Finding]:
    """Look at the account of every ACME CA that signs something; nothing without a sound inventory."""
    if patient.inventory is None or patient.folder is None or patient.sops_config is None:
        return
    if missing("acme"):
        return  # `programs` says so
    used = {service.signing_ca for service in patient.inventory.active()}
    for name, ca in sorted(patient.inventory.cas.items()):
        if ca.type is not CaType.ACME or name not in used:
            continue
        try:
            with bugs_of(name):
                yield from _account(ca, patient, patient.inventory)
        except NoIdentity:
            what = f"the account at '{name}' cannot be opened here, so nobody asked the CA about it"
            yield Finding("acme account", Health.NOTE, what, _VERBS)
        except AcmeError as error:
            yield Finding("acme account", Health.MISSING, error.what, _VERBS, f"directory of '{name}' in cas.yaml")
        except SslopsError as error:
            yield Finding("acme account", Health.MISSING, error.what, _VERBS, error.hint)


def _account(ca: CertificateAuthority, patient: Patient, inventory: Inventory) -> Iterator[Finding]:
    account = _stored(ca, patient, inventory)
    if account is None or account.url is None:
        what = f"no account at '{ca.name}' yet; the first order makes one"
        yield Finding("acme account", Health.OK, what, _VERBS)
        return
    if not account.belongs_to(ca.directory):
        what = f"'{ca.name}' is another server now, at '{ca.directory}'; the next order makes a new account there"
        yield Finding("acme account", Health.NOTE, what, _VERBS)
        return
    client = AcmeClient(ca.name, ca.directory, now=SystemClock().now, ca_bundle=_bundle(ca, patient))
    client.use(account)
    status = client.account_status()
    if status.is_closed:
        fix = f"sslops renew --new-account {ca.name} --apply"
        yield Finding("acme account", Health.MISSING, f"the account at '{ca.name}' is {status}", _VERBS, fix)
    else:
        yield Finding("acme account", Health.OK, f"the account at '{ca.name}' is {status}: {account.url}", _VERBS)


def _stored(ca: CertificateAuthority, patient: Patient, inventory: Inventory) -> Account | None:
    """Return the account on the branch next, as last fetched; null when there is none. Raises NoIdentity, SopsError."""
    git = Git.discover(patient.folder, environ=patient.environ) if patient.folder else None
    branches = (inventory.repo.next_branch, inventory.repo.branch)
    commit = next((commit for branch in branches if git is not None and (commit := git.branch(branch))), None)
    path = account_path(ca.name)
    document = git.file(commit, path) if git is not None and commit is not None else None
    if document is None:
        return None
    return read_account(Sops(patient.sops_config or "", environ=patient.environ).decrypt(path, document), path)


def _bundle(ca: CertificateAuthority, patient: Patient) -> str | None:
    return None if ca.ca_bundle is None or patient.folder is None else str(patient.folder / ca.ca_bundle)
