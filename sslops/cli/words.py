"""Words that people type and that are no verb of ours: those of ssl-mgr, certbot, lego and acme.sh, and slips.

>>> meant("-renew", {"renew": ""}).hint
'sslops renew --apply; here every verb only says what it would do, unless --apply is given'
>>> meant("certonly", {"renew": ""}).hint
'sslops renew --apply (docs/from-certbot.md)'
>>> meant("depoly", {"deploy": "", "doctor": ""}).hint
'did you mean sslops deploy?'
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sslops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

_DRY = "; here every verb only says what it would do, unless --apply is given"
_SSL_MGR = " (docs/from-ssl-mgr.md)"
_CERTBOT = " (docs/from-certbot.md)"

ELSEWHERE = {
    # ssl-mgr: `sslm-mgr -renew`, `sslm-mgr -s`, its other programs and its steps for developers
    "s": f"sslops status{_SSL_MGR}",
    "dns": f"sslops publish --apply{_SSL_MGR}",
    "dns-refresh": f"sslops publish --apply{_SSL_MGR}",
    "r": f"sslops renew --reuse-key --apply{_SSL_MGR}",
    "reuse": f"sslops renew --reuse-key --apply{_SSL_MGR}",
    "f": f"sslops renew --force --apply, sslops roll --force --apply{_SSL_MGR}",
    "force": f"sslops renew --force --apply, sslops roll --force --apply{_SSL_MGR}",
    "n": f"leave --apply out{_DRY}",
    "d": f"leave --apply out{_DRY}",
    "debug": "sslops -v VERB, or sslops --log FILE VERB",
    "t": f"sslops renew --staging --apply{_SSL_MGR}",
    "test": f"sslops renew --staging --apply{_SSL_MGR}",
    "roll-mins": f"sslops roll --min-roll-mins N{_SSL_MGR}",
    "min-roll-mins": f"sslops roll --min-roll-mins N{_SSL_MGR}",
    "keys": f"sslops dev keys GROUP/SVC --apply{_SSL_MGR}",
    "new-keys": f"sslops dev keys GROUP/SVC --apply{_SSL_MGR}",
    "csr": f"sslops dev csr GROUP/SVC --apply{_SSL_MGR}",
    "new-csr": f"sslops dev csr GROUP/SVC --apply{_SSL_MGR}",
    "cert": f"sslops dev cert GROUP/SVC --apply{_SSL_MGR}",
    "new-cert": f"sslops dev cert GROUP/SVC --apply{_SSL_MGR}",
    "copy": f"sslops renew --reuse-key --apply{_SSL_MGR}",
    "copy-csr": f"sslops renew --reuse-key --apply{_SSL_MGR}",
    "ntoc": f"sslops dev next-to-curr GROUP/SVC --apply{_SSL_MGR}",
    "next-to-curr": f"sslops dev next-to-curr GROUP/SVC --apply{_SSL_MGR}",
    "certs-prod": f"sslops deploy --apply{_SSL_MGR}",
    "certs-to-prod": f"sslops deploy --apply{_SSL_MGR}",
    "fsr": f"sslops deploy --force-restart --apply{_SSL_MGR}",
    "force-server-restarts": f"sslops deploy --force-restart --apply{_SSL_MGR}",
    "clean": f"sslops prune --apply{_SSL_MGR}",
    "clean-keep": f"sslops prune --keep N --apply{_SSL_MGR}",
    "clean-all": f"sslops prune --all --apply{_SSL_MGR}",
    "sslm-mgr": f"sslops --help{_SSL_MGR}",
    "sslm-info": f"sslops info FILE{_SSL_MGR}",
    "sslm-verify": f"sslops verify FILE{_SSL_MGR}",
    "sslm-dhparm": f"sslops dhparm DIR{_SSL_MGR}",
    "dhparam": "sslops dhparm DIR",
    "migrate": "sslops import CONF_D",
    # certbot, lego, acme.sh
    "certonly": f"sslops renew --apply{_CERTBOT}",
    "obtain": f"sslops renew --apply{_CERTBOT}",
    "issue": f"sslops renew --apply{_CERTBOT}",
    "renew-all": f"sslops renew --apply{_CERTBOT}",
    "cron": f"sslops run --apply{_CERTBOT}",
    "certificates": f"sslops status{_CERTBOT}",
    "list": f"sslops status{_CERTBOT}",
    "show": "sslops info FILE",
    "install": f"sslops deploy --apply{_CERTBOT}",
    "install-cert": f"sslops deploy --apply{_CERTBOT}",
    "revoke": f"take the service out of inventory/{_CERTBOT}",
    "delete": f"take the service out of inventory/{_CERTBOT}",
    "remove": f"take the service out of inventory/{_CERTBOT}",
    "register": f"sslops renew --apply, which makes the account{_CERTBOT}",
    "dry-run": f"leave --apply out{_DRY}",
    "rollback": "sslops roll --back GROUP/SERVICE --apply",
    # terraform, octodns, git
    "apply": f"sslops run --apply{_DRY}",
    "sync": f"sslops run --apply{_DRY}",
    "validate": "sslops check",
    "lint": "sslops check",
    "push": "sslops publish --apply",
    "help": "sslops --help, sslops VERB --help",
    "version": "sslops --version",
}
"""A word without its dashes, and what to type here. A verb of ours that has such a name counts first."""


def meant(given: str, verbs: Collection[str]) -> UsageError:
    """Return the error for a *given* word that is none of *verbs*, with what was probably meant."""
    word = given.lstrip("-").lower()
    if word in verbs:
        hint = f"sslops {word} --apply{_DRY}" if word in _ACTING else f"sslops {word}"
    elif word in ELSEWHERE:
        hint = ELSEWHERE[word]
    else:
        close = [f"sslops {each}" for each in difflib.get_close_matches(word, verbs, n=2)]
        hint = f"did you mean {' or '.join(close)}?" if close else "sslops --help"
    return UsageError(f"no verb '{given}'", hint=hint)


_ACTING = frozenset({"renew", "publish", "roll", "deploy", "run"})
