"""Files that come with the package and are no code: the workflow, profiles and schemas.

In the repository ``workflow/`` and ``profiles/`` lie beside ``src/``, where Snakemake and its
catalog look for them; links among the package's own files lead there, and an installed package
holds copies in their place. So the same paths hold for both.
"""

from pathlib import Path

from derotation.errors import DerotationError

__all__ = ["profile_folder", "schema_file", "workflow_file"]

_PACKAGE = Path(__file__).parents[1]


def workflow_file() -> Path:
    """Find the workflow's Snakefile, whether the package is a link to a checkout or a copy.

    Returns
    -------
    pathlib.Path
        An absolute path without links.

    Raises
    ------
    DerotationError
        If the package was installed without it.
    """
    return _shipped("workflow/Snakefile")


def profile_folder(name: str) -> Path:
    """Find a profile for Snakemake.

    Parameters
    ----------
    name : str
        ``default`` or ``slurm``.

    Returns
    -------
    pathlib.Path
        The absolute path of its folder.

    Raises
    ------
    DerotationError
        If there is no such profile.
    """
    return _shipped(f"profiles/{name}/config.yaml").parent


def schema_file(name: str) -> Path:
    """Find a JSON schema, which is written as YAML.

    Parameters
    ----------
    name : str
        ``config``, ``sessions`` or ``calibration``.

    Returns
    -------
    pathlib.Path
        Its absolute path.

    Raises
    ------
    DerotationError
        If there is no such schema.
    """
    return _shipped(f"settings/{name}.schema.yaml")


def _shipped(name: str) -> Path:
    file = (_PACKAGE / name).resolve()
    if not file.is_file():
        raise DerotationError(
            f"{_PACKAGE / name} is missing: the package is incomplete. Install it again, from a "
            "checkout in which git made its symbolic links (on Windows: under WSL)."
        )
    return file
