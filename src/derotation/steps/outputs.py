"""The files that a step writes, as one object that names them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self, get_type_hints

__all__ = ["Outputs"]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Base of what the steps write.

    Each field is the path of a file, annotated by its name within a session's folder:
    ``angles: Annotated[Path, "angles.npz"]``.
    """

    @classmethod
    def within(
        cls, folder: str | Path, *, plots: str | Path | None = None, **others: str | Path
    ) -> Self:
        """Name the files as they are called in a session's folder of the results.

        Parameters
        ----------
        folder : path
            The session's folder.
        plots : path, optional
            Where plots go; by default into the folder's ``plots``.
        **others : path
            Files that go elsewhere, by their names here.
        """
        hints = get_type_hints(cls, include_extras=True)
        names = {item.name: Path(hints[item.name].__metadata__[0]) for item in fields(cls)}
        pictures = Path(plots or Path(folder, "plots"))
        paths = {
            name: pictures / file.name if file.parts[0] == "plots" else Path(folder, file)
            for name, file in names.items()
        }
        return cls(**paths | {name: Path(path) for name, path in others.items()})

    @classmethod
    def of(cls, **paths: str | Path) -> Self:
        """Take the paths by their names, as a rule gives them."""
        return cls(**{name: Path(path) for name, path in paths.items()})
