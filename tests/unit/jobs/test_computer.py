"""What a computer has, and what of it a container or a scheduler leaves."""

import os
from pathlib import Path

import pytest

from derotation.jobs import computer

MEGA = 1_000_000


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Make a tree of control groups, and put this process into one of them."""
    monkeypatch.setattr(computer, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(computer, "_OWN_CGROUP", tmp_path / "own")

    def make(own: str, **limits: str) -> None:
        (tmp_path / "own").write_text(own)
        for name, text in limits.items():
            file = tmp_path / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")

    return make


def physical() -> int:
    (line,) = [
        line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line
    ]
    return int(line.split()[1]) * 1024


needs_linux = pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="reads /proc")


@needs_linux
def test_without_limits_it_is_the_computers(group):
    group("0::/user\n", user__memory_DOT_max="max")
    assert computer.memory_mb() == physical() // MEGA
    assert computer.memory_for_jobs_mb() == pytest.approx(0.8 * physical() / MEGA, abs=2)


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("0::/a/b\n", {"a__b__memory_DOT_max": 50 * MEGA}),
        # A limit of a group holds for those within it.
        ("0::/a/b\n", {"a__b__memory_DOT_max": "max", "a__memory_DOT_max": 50 * MEGA}),
        ("0::/a\n", {"a__memory_DOT_max": 90 * MEGA, "memory_DOT_max": 50 * MEGA}),
        # The first version of control groups, also beside the second one.
        ("4:memory:/j\n0::/\n", {"memory__j__memory_DOT_limit_in_bytes": 50 * MEGA}),
        # Within a container, the path is that of outside.
        ("0::/docker/0123\n", {"memory_DOT_max": 50 * MEGA}),
    ],
)
def test_limits_hold(group, own, limits):
    group(own, **{name: str(value) for name, value in limits.items()})
    assert computer.memory_mb() == 50
    assert computer.memory_for_jobs_mb() == 40


@needs_linux
@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("0::/a\n", {"b__memory_DOT_max": 50 * MEGA}),  # somebody else's
        ("3:cpu:/a\n", {"memory__a__memory_DOT_limit_in_bytes": 50 * MEGA}),
        ("0::/a\n", {"a__memory_DOT_max": 2**63 - 4096}),  # how version 1 says "no limit"
    ],
)
def test_limits_of_others_do_not(group, own, limits):
    group(own, **{name: str(value) for name, value in limits.items()})
    assert computer.memory_mb() == physical() // MEGA


def test_a_system_without_control_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(computer, "_OWN_CGROUP", tmp_path / "missing")
    assert computer.memory_mb() > 100


def test_cores_are_those_of_this_process():
    assert 1 <= computer.n_cores() <= (os.cpu_count() or 1)
