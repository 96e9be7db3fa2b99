"""The rules of the house that no linter knows: who imports what, sizes, golden files, documents."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from domain.events import EVENT_TYPES, tag_of

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINTER: dict[str, Any] = PROJECT["tool"]["importlinter"]
SHIPPED: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PRODUCT = [path for package in SHIPPED for path in sorted((ROOT / package).rglob("*.py"))]
PYTHON = [*PRODUCT, *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

FILE_LINES_MAX = 350

FUNCTION_LINES_MAX = 50
FUNCTION_LINES_MEDIAN_MAX = 8

HEAVY = {"aiogram", "cv2", "lightning", "numpy", "onnxruntime", "pyarrow", "torch"}
CLIENTS = {"aiohttp", "asyncpg", "minio", "nats"}
NOT_LOADED = {
    "adapters.telegram.inbox": HEAVY | {"asyncpg", "minio"},
    "adapters.telegram.outbox": HEAVY | {"asyncpg", "minio"},
    "adapters.telegram.photos": HEAVY | {"asyncpg", "minio"},
    "ictus.cli": HEAVY | CLIENTS,
    "ictus.roles": HEAVY | {"minio"},
    "projections": HEAVY | CLIENTS,
    "workers.answer": HEAVY | CLIENTS,
    "workers.inference.worker": {"aiogram", "lightning", "torch", *CLIENTS},
    "workers.ingest.worker": {"aiogram", "lightning", "onnxruntime", "torch", *CLIENTS},
}
HELP = """
import sys
from ictus.__main__ import app
try:
    app(["--help"])
except SystemExit:
    pass
"""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports, at its top or later."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def roots_of(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports_of(path)}


def loaded_after(code: str) -> set[str]:
    """The top-level modules of a fresh interpreter that ran `code`."""
    tell = f"{code}\nimport sys\nsys.stdout.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", tell], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


# Who imports what


def test_every_shipped_package_has_its_floor_and_is_checked() -> None:
    layers = LINTER["contracts"][0]
    assert layers["type"] == "layers"
    floors = {name for floor in layers["layers"] for name in re.split(r" [|:] ", floor)}
    assert floors == set(SHIPPED) == set(LINTER["root_packages"])
    assert set(SHIPPED) <= set(PROJECT["tool"]["mypy"]["packages"])


def test_the_packages_are_those_of_this_repository() -> None:
    for name in SHIPPED:
        spec = find_spec(name)
        assert spec
        assert spec.origin
        assert Path(spec.origin) == ROOT / name / "__init__.py"


def test_nothing_imports_what_needs_cuda_to_be_installed() -> None:
    assert [relative(path) for path in PYTHON if roots_of(path) & {"torchvision", "timm"}] == []


def test_the_domain_knows_nothing_but_itself_and_msgspec() -> None:
    known = {"domain", "msgspec", *sys.stdlib_module_names}
    for path in (ROOT / "domain").rglob("*.py"):
        assert roots_of(path) <= known, relative(path)


def test_only_the_bot_imports_aiogram_and_only_training_imports_torch() -> None:
    for path in PRODUCT:
        roots, where = roots_of(path), relative(path)
        if "aiogram" in roots:
            assert where == "adapters/telegram/bot.py"
        if roots & {"torch", "lightning", "torchmetrics", "onnx", "onnxscript"}:
            assert where.startswith("training/")


@pytest.mark.parametrize("module", NOT_LOADED)
def test_a_process_loads_only_what_it_needs(module: str) -> None:
    assert loaded_after(f"import {module}") & NOT_LOADED[module] == set()


def test_help_is_shown_without_loading_the_product() -> None:
    loaded = loaded_after(HELP)
    assert loaded & (HEAVY | CLIENTS) == set()
    assert loaded & set(SHIPPED) == {"ictus"}


# How it is written


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        relative(path)
        for path in PRODUCT
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_no_file_is_long() -> None:
    lines = {relative(path): len(path.read_text().splitlines()) for path in PRODUCT}
    long = {path: n for path, n in lines.items() if n > FILE_LINES_MAX}
    assert long == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{relative(path)}:{function.name}": length(function)
        for path in PRODUCT
        for function in functions(path)
    }
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES_MAX} == {}
    assert median(lengths.values()) <= FUNCTION_LINES_MEDIAN_MAX


# What is stored and what is told


def test_every_event_type_has_its_golden_file() -> None:
    stored = {path.stem for path in (ROOT / "tests" / "golden").glob("*.json")}
    assert {tag_of(event) for event in EVENT_TYPES} <= stored


def test_readme_opens_with_the_two_commands() -> None:
    for name in ("README.md", "README.ru.md"):
        text = (ROOT / name).read_text()
        assert text.index("make demo") < text.index("make test") < len(text) // 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    missing = [
        link
        for link in links
        if "://" not in link and not (document.parent / link).resolve().exists()
    ]
    assert missing == []
