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
    def within(cls, folder: str | Path) -> Self:
        """Name the files as they are called in a session's folder of the results."""
        hints = get_type_hints(cls, include_extras=True)
        names = {item.name: hints[item.name].__metadata__[0] for item in fields(cls)}
        return cls(**{name: Path(folder, file) for name, file in names.items()})

    @classmethod
    def of(cls, **paths: str | Path) -> Self:
        """Take the paths by their names, as a rule gives them."""
        return cls(**{name: Path(path) for name, path in paths.items()})
