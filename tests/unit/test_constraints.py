"""The pinned versions fit what the package asks for, and are complete."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OWN = PROJECT["name"]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned_versions():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def asked_for():
    """What the package and all its extras ask for."""
    asked = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [each for each in map(Requirement, asked) if each.name != OWN]


def required_by(requirement):
    """What an installed package needs for a requirement; nothing is known of one that is not."""
    try:
        lines = importlib.metadata.requires(requirement.name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    extras = [{"extra": extra} for extra in ("", *requirement.extras)]
    needed = map(Requirement, lines)
    return [
        each
        for each in needed
        if each.marker is None or any(each.marker.evaluate(extra) for extra in extras)
    ]


def resolved():
    """Give the names of all that is needed, in turn, as far as it is installed."""
    waiting, seen = asked_for(), set()
    while waiting:
        requirement = waiting.pop()
        key = canonical(requirement.name), frozenset(requirement.extras)
        if key not in seen:
            seen.add(key)
            waiting += required_by(requirement)
    return {name for name, _ in seen}


def test_constraints_pin_every_dependency_within_its_range():
    pinned = pinned_versions()
    for requirement in asked_for():
        assert requirement.specifier.contains(pinned[canonical(requirement.name)]), requirement


def test_constraints_pin_all_that_is_installed_for_the_package_and_its_tests():
    found = resolved()
    assert {"numpy", "llvmlite", "pytest", "pluggy", "h5py"} <= found
    assert not found - pinned_versions().keys()


def test_constraints_are_sorted_and_name_each_package_once():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = [line.split("==")[0] for line in lines if not line.startswith("#")]
    assert names == sorted(set(names))
    assert names == [canonical(name) for name in names]


def test_what_installs_uses_them():
    assert "--constraint constraints.txt" in (ROOT / "environment.yaml").read_text()
    for page in ("README.md", "CONTRIBUTING.md", "docs/cluster.md", "docs/sharing.md"):
        commands = re.findall(r"pip install [^&\n]*-e [^&\n]*", (ROOT / page).read_text())
        assert commands, page
        for command in commands:
            assert "-c constraints.txt" in command, f"{page}: {command}"
