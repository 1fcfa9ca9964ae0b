"""ACME accounts as the branch `next` keeps them: one encrypted document for each CA, made at first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.adapters.acme_account import new_account, read_account, write_account
from sslops.errors import StateError
from sslops.model.acme import Account, ExternalAccount
from sslops.model.change import AccountChange
from sslops.state.paths import account_path

if TYPE_CHECKING:
    from sslops.adapters.sops import Sops
    from sslops.model.inventory import Inventory
    from sslops.state.snapshot import Snapshot
    from sslops.state.store import OpsRepo


@dataclass(frozen=True, slots=True)
class StoredAccounts:
    """The accounts on one branch; *suffix* keeps those of a rehearsal apart from the real ones."""

    ops: OpsRepo
    snapshot: Snapshot
    sops: Sops
    inventory: Inventory
    suffix: str = ""

    def load(self, ca: str) -> Account | None:
        """Decrypt the account at *ca*; null when there is none yet."""
        path = account_path(self._name(ca))
        document = self.ops.read(self.snapshot.next_commit or self.snapshot.main_commit, path)
        return None if document is None else read_account(self.sops.decrypt(path, document), path)

    def new(self, ca: str) -> tuple[Account, AccountChange]:
        """Make an account and the change that stores its key; SopsError when nothing here can be encrypted."""
        account = new_account()
        why = f"The first order from {ca} needs an account. Its key is stored before the CA hears of it."
        return account, self._change(ca, account, "a new key", why)

    def change(self, ca: str, account: Account) -> AccountChange:
        """Return the change that adds the account's URL."""
        return self._change(ca, account, "registered", f"The account is {account.url}.")

    def external(self, ca: str) -> ExternalAccount | None:
        """Decrypt the MAC key that the inventory refers to; null when it refers to none."""
        reference = self.inventory.cas[ca].external_account
        if reference is None:
            return None
        document = self.ops.read(self.snapshot.main_commit, reference.hmac_key)
        if document is None:
            message = f"'{reference.hmac_key}', the MAC key of '{ca}', is not there"
            raise StateError(message, hint=f"eab.hmac_key of '{ca}' in inventory/cas.yaml")
        return ExternalAccount(reference.kid, self.sops.decrypt(reference.hmac_key, document))

    def _change(self, ca: str, account: Account, title: str, why: str) -> AccountChange:
        name = self._name(ca)
        return AccountChange(name, self.sops.encrypt(account_path(name), write_account(account)), title, why)

    def _name(self, ca: str) -> str:
        return f"{ca}{self.suffix}"
