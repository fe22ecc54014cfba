"""The source of the package as it is parsed, for tests that look through all of it."""

import ast
import functools
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "derotation"


@functools.cache
def trees() -> dict[Path, ast.Module]:
    """Parse every module of the package; by its path within it."""
    return {
        file.relative_to(SOURCE): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(SOURCE.rglob("*.py"))
    }
