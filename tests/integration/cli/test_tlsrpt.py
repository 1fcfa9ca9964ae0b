"""`sslops tlsrpt`: reports of senders beside an ops repository, on its ledger, and on the page of the site."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.unit.test_hostile_input import TLS_REPORT, tls_report_mail
from tests.world.ops import OpsRepository

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "inventory/sslops.yaml": "groups:\n  - {domain: example.com, active: true, services: ALL}\n"
    "  - {domain: ca, active: true, services: ALL}\n",
    "inventory/cas.yaml": "my-root: {ca_type: self}\n",
    "inventory/ca/my-root.yaml": "signing_ca: self\nx509: {CN: Root}\nca: {sign_end_days: 90}\n",
    "inventory/example.com/mail.yaml": "signing_ca: my-root\nx509: {CN: mail.example.com, sans: [mail.example.com]}\n",
}


def report(spki_sha256: str, day: str, number: int = 1, domain: str = "example.com") -> bytes:
    """Return a report about *day*, of a sender that went by this record."""
    text = TLS_REPORT.decode().replace("2026-11-30", day).replace("9b" * 32, spki_sha256)
    return text.replace("5065427c", f"{number:08x}").replace('"example.com"', f'"{domain}"').encode()


def test_reports_name_generations_and_are_kept_once(world_folder: Path) -> None:
    """A Maildir read twice counts once; the page has a number for each day; a broken report is told, and fails."""
    ops = OpsRepository(world_folder, FILES, has_remote=False)
    for words in (("renew",), ("roll",), ("renew",), ("roll",)):
        ops.sslops(*words, "--apply").succeeded()
    (facts,) = (ops.folder / "state/example.com/mail").glob("*/generation.yaml")
    spki = facts.read_text().partition('spki_sha256: "')[2].partition('"')[0]
    maildir, day = world_folder / "Maildir", f"{datetime.now(tz=UTC) - timedelta(days=1):%Y-%m-%d}"
    (maildir / "new").mkdir(parents=True)
    (maildir / "cur").mkdir()
    (maildir / "new/1").write_bytes(tls_report_mail(report(spki, day)))
    (maildir / "cur/2:2,S").write_bytes(tls_report_mail(report(spki, day, 2)))
    (maildir / "cur/3:2,S").write_bytes(b"From: x\n\nno report\n")
    (maildir / "cur/4:2,S").write_bytes(tls_report_mail(report(spki, day, 3, "example.org")))
    dry = ops.sslops("tlsrpt", str(maildir), "--json").succeeded()
    first = json.loads(dry.stdout)["results"][0]
    applied = ops.sslops("tlsrpt", str(maildir), "--apply").succeeded()
    again = ops.sslops("tlsrpt", str(maildir), "--apply").succeeded()
    page = world_folder / "page.html"
    ops.sslops("report", "--html", str(page)).succeeded()
    (maildir / "new/5").write_bytes(tls_report_mail(b"{"))
    broken = ops.sslops("tlsrpt", str(maildir))

    assert [f"example.com/mail {facts.parent.name}"] == first["generations"]
    assert (["mail.example.com"], 5326, 303) == (first["hosts"], first["successful"], first["failed"])
    assert "2 reports: not on the ledger yet; --apply keeps it" in dry.stderr
    assert "2 reports: kept on the ledger" in applied.stderr
    assert "about no group of the inventory, and not kept: example.org" in applied.stderr
    assert "kept on the ledger" not in again.stderr
    assert 2 == ops.show("ledger", "tlsrpt.yaml").count(f'"{day} example.com ')
    assert "10652" in page.read_text().partition("What mail senders reported")[2]
    assert (1, True) == (broken.exit_code, "new/5' is no report that can be read: it is no JSON" in broken.stderr)
    assert 0 == ops.sslops("audit").exit_code


def test_reports_are_read_without_a_repository(world_folder: Path) -> None:
    """Then nothing is ours, and nothing can be kept."""
    ops = OpsRepository(world_folder, FILES, has_remote=False)
    (world_folder / "report.json").write_bytes(report("9b" * 32, "2026-11-30"))
    shown = ops.sslops("-C", str(world_folder), "tlsrpt", str(world_folder / "report.json")).succeeded()
    refused = ops.sslops("-C", str(world_folder), "tlsrpt", str(world_folder / "report.json"), "--apply")

    assert "unmanaged" in shown.stdout
    assert "303 x validation-failure at mail.example.com [203.0.113.56]" in shown.stdout
    assert 2 == refused.exit_code
