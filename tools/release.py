"""Make what a release consists of, in dist/: wheel, source, the lock for jobs, and the bill of materials (CycloneDX).

`tools/release.py URL`: URL is the folder that the wheel will be downloaded from. `requirements-jobs.txt` is a whole
`.ci/requirements.txt`: every distribution that a job installs, sslops too, with its hashes. It is installed here, as a
job would, and the bill of materials is that of what was installed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
TOOLS = ("uv>=0.9,<1", "cyclonedx-bom>=7,<8")
LOCK = (
    "--extra",
    "all",
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--python-version",
    "3.11",
)


def main(where: str, dist: Path = TOP / "dist") -> None:
    """Build it all into *dist*, whatever was there; CalledProcessError when a tool fails."""
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="sslops-release-") as folder:
        tools, job = Path(folder) / "tools/bin", Path(folder) / "job"
        run(sys.executable, "-m", "venv", tools.parent)
        run(tools / "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
        run(tools / "uv", "build", "--quiet", "--out-dir", dist)
        (dist / ".gitignore").unlink(missing_ok=True)
        (wheel,) = dist.glob("*.whl")
        lock = Path(folder) / "requirements.txt"
        run(tools / "uv", "pip", "compile", "--quiet", *LOCK, "--output-file", lock, "pyproject.toml")
        run(tools / "uv", "venv", "--quiet", "--python", sys.executable, job)
        into = (tools / "uv", "pip", "install", "--quiet", "--python", job / "bin/python")
        run(*into, "--require-hashes", "--requirement", lock)
        run(*into, "--no-deps", wheel)
        run(job / "bin/sslops", "--version")
        bill = ("--output-format", "JSON", "--output-file", dist / "sbom.cdx.json", "--output-reproducible")
        run(tools / "cyclonedx-py", "environment", *bill, "--pyproject", "pyproject.toml", job / "bin/python")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        own = f"sslops @ {where.rstrip('/')}/{wheel.name} \\\n    --hash=sha256:{digest}\n"
        (dist / "requirements-jobs.txt").write_text(lock.read_text() + own)


def run(*words: str | Path) -> None:
    """Run a program at the top of the project; CalledProcessError when it fails."""
    subprocess.run(words, cwd=TOP, check=True)


if __name__ == "__main__":
    main(sys.argv[1])
