"""`sslops report`: one page from a real repository, and how it looks in a real browser."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sslops.model.ledger import Sessions
from tests.integration.cli.test_watchdog import INVENTORY
from tests.unit.report.test_page import EITHER, site, written
from tests.unit.report.test_status_view import STAGED
from tests.world.ops import OpsRepository
from tests.world.peers import find, missing

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = """
const { chromium } = require('playwright-core');
const axe = require('fs').readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
(async () => {
  const quiet = ['disable-gpu', 'disable-quic', 'no-first-run', 'disable-background-networking', 'disable-sync'];
  const args = ['no-sandbox', 'disable-component-update', ...quiet].map(each => '--' + each);
  const browser = await chromium.launch({ executablePath: process.argv[2], args });
  const found = [];
  for (const colorScheme of ['light', 'dark']) for (const width of [375, 768, 1440]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
    const page = await context.newPage();
    await page.goto('file://' + process.argv[3]);
    await page.evaluate(axe);
    const violations = (await page.evaluate(() => axe.run())).violations.map(each => each.id);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    const charts = await page.evaluate(
      () => [...document.querySelectorAll('.chart')].filter(each => each.getClientRects().length).length);
    found.push([colorScheme, width, violations, wide, charts]);
    await context.close();
  }
  console.log(JSON.stringify(found));
  await browser.close();
})();
"""


def test_a_real_repository_has_its_page(world_folder: Path) -> None:
    """Services, planned steps and the engine's own commits; nothing but the file is written."""
    ops = OpsRepository(world_folder, INVENTORY)
    ops.sslops("run", "--apply").succeeded()
    refs, page = ops.refs(), world_folder / "page.html"
    ops.sslops("report", "--html", str(page)).succeeded()
    text = page.read_text()

    assert refs == ops.refs()
    assert [] == [words for words in ("ca/root", "own root", "renew(ca/root)", "Planned steps") if words not in text]
    assert 2 == ops.sslops("report", "--html", str(world_folder)).exit_code
    assert 2 == ops.sslops("report", "--html", str(page), "--ahead", "soon").exit_code


@pytest.mark.soak
def test_a_browser_finds_nothing_wrong_in_six_settings(tmp_path: Path) -> None:
    """Phone, tablet and desk, light and dark, from file://: axe has no violation, nothing scrolls sideways."""
    chromium, node = (find(each) or missing(f"'{each}' is not installed") for each in ("chromium", "node"))
    reports = {f"2026-11-2{day} example.com 9b1c": Sessions(5326, day % 2) for day in range(9)}
    (tmp_path / "page.html").write_text(written(site(replace(EITHER, reports=reports), STAGED)))
    (tmp_path / "look.js").write_text(BROWSER)
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "axe-core", "playwright-core"]
    if subprocess.run(install, cwd=tmp_path, timeout=300, check=False, capture_output=True).returncode:
        missing("axe-core and playwright-core cannot be installed by npm")
    looked = subprocess.run(
        [node, "look.js", chromium, tmp_path / "page.html"],
        cwd=tmp_path,
        timeout=200,
        check=True,
        capture_output=True,
        text=True,
    )

    settings = [(scheme, width) for scheme in ("light", "dark") for width in (375, 768, 1440)]
    assert [[scheme, width, [], width, 1] for scheme, width in settings] == json.loads(looked.stdout)
