"""The command line as its users meet it, for any test."""

import json
import subprocess
import sys
from typing import Any

import pytest

from ictus.__main__ import main
from ictus.settings import Settings, environment

SECONDS_MAX = 60


class Ictus:
    """`ictus …` in a process of its own, with these settings and nothing else in the environment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.environment = environment(settings) | {"PATH": "/usr/bin:/bin", "COLUMNS": "100"}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ictus", *words],
            env=self.environment,
            cwd=self.settings.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )

    def json(self, *words: str) -> dict[str, Any]:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        (line,) = done.stdout.splitlines()
        value: dict[str, Any] = json.loads(line)
        return value


def here(capsys: pytest.CaptureFixture[str], *words: object) -> subprocess.CompletedProcess[str]:
    """`ictus …` in this process, where what it needs takes long to import."""
    code = 0
    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        code = int(ended.code or 0)
    shown = capsys.readouterr()
    return subprocess.CompletedProcess(words, code, shown.out, shown.err)
