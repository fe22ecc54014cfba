"""The files that a step reads or writes, as one object that names them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self, get_type_hints

__all__ = ["Files", "Outputs"]


@dataclass(frozen=True, kw_only=True)
class Files:
    """Base of files that belong together; each field is a path."""

    @classmethod
    def of(cls, **paths: str | Path) -> Self:
        """Take the paths by their names, as a rule gives them."""
        return cls(**{name: Path(path) for name, path in paths.items()})

    @classmethod
    def among(cls, paths: Mapping[str, str | Path]) -> Self:
        """Take those that belong here out of all that a rule gives."""
        names = {item.name for item in fields(cls)}
        return cls.of(**{name: path for name, path in paths.items() if name in names})


@dataclass(frozen=True, kw_only=True)
class Outputs(Files):
    """Base of what the steps write for a session.

    Each field is the path of a file, annotated by its name within a session's folder:
    ``angles: Annotated[Path, "angles.npz"]``.
    """

    @classmethod
    def within(
        cls, folder: str | Path, *, plots: str | Path | None = None, **others: str | Path | None
    ) -> Self:
        """Name the files as they are called in a session's folder of the results.

        Parameters
        ----------
        folder : path
            The session's folder.
        plots : path, optional
            Where plots go; by default into the folder's ``plots``.
        **others : path
            Files that lie elsewhere, by their names here; None for those that do not exist.
        """
        hints = get_type_hints(cls, include_extras=True)
        names = {item.name: Path(hints[item.name].__metadata__[0]) for item in fields(cls)}
        pictures = Path(plots or Path(folder, "plots"))
        paths = {
            name: pictures / file.name if file.parts[0] == "plots" else Path(folder, file)
            for name, file in names.items()
        }
        elsewhere = {name: None if path is None else Path(path) for name, path in others.items()}
        return cls(**paths | elsewhere)
