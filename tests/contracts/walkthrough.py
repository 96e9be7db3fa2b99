"""What CONTRIBUTING.md tells its readers to write, and whether it is written as the checks want."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def blocks(heading: str) -> tuple[str, str]:
    """The two pieces of Python under a heading: what is written, and the row that registers it."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index(f"## {heading}") :].split("\n## ")[0]
    written, row = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return written, row


def must_please_ruff(file: Path) -> None:
    config = f"--config={ROOT / 'pyproject.toml'}"
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", config, str(file)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
