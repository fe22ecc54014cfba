"""The command line by which Snakemake is started in a study's folder."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from derotation.errors import DerotationError
from derotation.settings.shipped import profile_folder, workflow_file

__all__ = ["snakemake_command"]

# Where Snakemake looks for one, in this order.
_SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
_DEFAULT = "profiles/default"
# A dry run says how many jobs there are of each step, and why; not each of them in eight lines.
_DRY_RUN = ("-n", "--dry-run", "--dryrun")
_HOW_LOUD = ("-q", "--quiet", "--verbose", "-p", "--printshellcmds")
_SHORT = ["--quiet", "host", "rules"]


def snakemake_command(
    arguments: Sequence[str],
    folder: str | Path = ".",
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Complete a command line of Snakemake by what the folder itself does not hold.

    A folder without a Snakefile runs the workflow that comes with the package, one without
    ``profiles/default`` the default profile; and the name of a profile (``--profile slurm``) is
    looked for in ``profiles/`` and among those that come with the package, too. A dry run is
    short, unless it is said how much it is to say.

    Parameters
    ----------
    arguments : sequence of str
        What a user gives to Snakemake.
    folder : path
        The folder in which Snakemake is to be started.
    environment : mapping
        Environment variables: ``XDG_CONFIG_HOME`` may hold profiles of the user.

    Returns
    -------
    list of str
        The command, to be started in the folder.
    """
    folder = Path(folder)
    words = list(_with_profiles(arguments, folder, environment))
    if _given(arguments, *_DRY_RUN) and not _given(arguments, *_HOW_LOUD):
        words += _SHORT
    own = next((name for name in _SNAKEFILES if (folder / name).is_file()), None)
    if own is None and not _given(arguments, "-s", "--snakefile"):
        words += ["--snakefile", str(workflow_file())]
    beside = [_DEFAULT] if own is None else [_DEFAULT, str(Path(own).parent / _DEFAULT)]
    if not any((folder / profile).exists() for profile in beside) and not _given(
        arguments, "--workflow-profile", "-s", "--snakefile"
    ):
        words += ["--workflow-profile", str(profile_folder("default"))]
    return [sys.executable, "-m", "snakemake", *words]


def _given(arguments: Sequence[str], *options: str) -> bool:
    return any(word.partition("=")[0] in options for word in arguments)


def _with_profiles(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> list[str]:
    """Replace the names of profiles by their folders where Snakemake would not find them."""
    words = []
    before = ""
    for word in arguments:
        option, equals, name = word.partition("=")
        if equals and option == "--profile":
            words.append(f"--profile={_profile(name, folder, environment)}")
        else:
            words.append(_profile(word, folder, environment) if before == "--profile" else word)
        before = word
    return words


def _profile(name: str, folder: Path, environment: Mapping[str, str]) -> str:
    users = environment.get("XDG_CONFIG_HOME") or "~/.config"
    known = (folder, Path(users, "snakemake").expanduser(), Path("/etc/xdg/snakemake"))
    if any((place / name).exists() for place in known):
        return name
    own = folder / "profiles" / name
    if own.exists():
        return str(Path("profiles", name))
    try:
        return str(profile_folder(name))
    except DerotationError:
        return name  # Snakemake says that there is none
