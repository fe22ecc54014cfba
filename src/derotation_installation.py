"""Tells whether the package ``derotation`` is wholly this one's.

Another distribution, named ``derotation`` itself, installs a package of the same name. Installed
over this one it replaces files, installed before it leaves modules that hide ours, and uninstalled
it takes our files along. So this module lies beside the package, where the other has no file, and
needs the standard library alone.
"""

import csv
import importlib.util
import json
import os.path
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path

__all__ = ["InstallationError", "main", "mixture", "refuse_mixture"]

OWN = "derotation-workflow"
PACKAGE = "derotation"
# What no other package of this name has; a copy of ours elsewhere on the path is ours, too.
OWN_FILE = "_moved.py"


class InstallationError(ImportError):
    """Files of the package are missing, or are those of another distribution."""


def main() -> int:
    """Run the command ``derotation``, if the package is whole.

    Returns
    -------
    int
        Exit status.
    """
    said = mixture(search=True)
    if said is not None:
        print(said, file=sys.stderr)
        return 1
    from derotation import cli

    return cli.main()


@cache  # asked in several places while the package is imported
def refuse_mixture(folder: Path | None = None) -> None:
    """Raise an error if files of the package are missing or another's.

    Parameters
    ----------
    folder : path, optional
        See :func:`mixture`.

    Raises
    ------
    InstallationError
        With the command that mends it.
    """
    said = mixture(folder)
    if said is not None:
        raise InstallationError(said)


def mixture(folder: Path | None = None, *, search: bool = False) -> str | None:
    """Say in one sentence what is wrong with the installation.

    Parameters
    ----------
    folder : path, optional
        The folder in which the package lies; by default the one of this module.
    search : bool
        Look through the lists of files of all distributions, whatever their name (tens of
        milliseconds), and not only of the one that is known.

    Returns
    -------
    str or None
        The sentence, with the command that mends it; None if all is well.
    """
    chosen = folder is not None
    folder = Path(__file__).resolve().parent if folder is None else folder
    for name, version in _others(folder, search):
        return (
            f"{folder / PACKAGE}: the distribution {name} {version} has put its own package "
            f"{PACKAGE!r} into the same folder as {OWN}, so that files of the two are mixed; "
            f"mend it with: {_pip(f'uninstall -y {name}')} && {_reinstall(folder)}"
        )
    missing = _missing(folder)
    if missing:
        return (
            f"{folder / PACKAGE}: {len(missing)} files of {OWN} are gone (such as {missing[0]}), "
            f"as happens when another package of the same name is uninstalled; mend it with: "
            f"{_reinstall(folder)}"
        )
    imported = None if chosen else _place_imported()
    if imported is None or imported == (folder / PACKAGE).resolve():
        return None
    if not (imported / OWN_FILE).is_file():
        return (
            f"{folder / PACKAGE}: 'import {PACKAGE}' gives the package in {imported} instead; if "
            f"that is another program's, mend it with: {_pip(f'uninstall -y {PACKAGE}')}"
        )
    return None


def _others(folder: Path, search: bool) -> Iterator[tuple[str, str]]:
    """Give name and version of other distributions with files in the package."""
    for distribution in Distribution.discover(name=None if search else PACKAGE, path=[str(folder)]):
        listed = distribution.read_text("RECORD") or ""
        if f"\n{PACKAGE}/" not in f"\n{listed}":
            continue
        name = distribution.metadata["Name"]
        if name != OWN:
            yield name, distribution.version


def _missing(folder: Path) -> list[str]:
    """Give the files of ours that are not there; none if they lie elsewhere, as when edited."""
    own = _own(folder)
    if own is None:
        return []
    rows = csv.reader((own.read_text("RECORD") or "").splitlines())
    names = [row[0] for row in rows if row and row[0].startswith(f"{PACKAGE}/")]
    # Compiled files come and go. (Paths as objects would take most of the time.)
    place = f"{folder}/"
    wanted = (name for name in names if "__pycache__" not in name)
    return [name for name in wanted if not os.path.exists(place + name)]  # noqa: PTH110


def _own(folder: Path) -> Distribution | None:
    return next(iter(Distribution.discover(name=OWN, path=[str(folder)])), None)


def _place_imported() -> Path | None:
    """Tell where ``import derotation`` would find the package, without importing it."""
    loaded = sys.modules.get(PACKAGE)
    spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _reinstall(folder: Path) -> str:
    """Give the command that installs ours again from where it came."""
    own = _own(folder)
    told = json.loads((own.read_text("direct_url.json") if own else None) or "{}")
    source = OWN
    if "url" in told:
        vcs = told.get("vcs_info", {})
        prefix, commit = (f"{vcs['vcs']}+", f"@{vcs['commit_id']}") if vcs else ("", "")
        source = f"'{OWN} @ {prefix}{told['url']}{commit}'"
    return _pip(f"install --force-reinstall --no-deps {source}")


def _pip(arguments: str) -> str:
    return f"{sys.executable} -m pip {arguments}"
