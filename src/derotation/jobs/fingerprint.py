"""A hash of the code behind a step, so that a change of the library reruns what it concerns.

Snakemake sees a rule's script, not the modules that the script imports. Each rule therefore has
:func:`code_fingerprint` of its step among its parameters. The fingerprint covers a module and,
in turn, every module of this package that it imports. It is taken from the syntax tree: layout,
comments, docstrings and imports for type checkers are no part of it. Nothing is imported.
"""

import ast
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["code_fingerprint", "modules_behind"]

_ROOT = Path(__file__).parents[1]
# Clocks of file systems tick at least as often.
_SETTLED_NS = 3_000_000_000


@cache
def code_fingerprint(module: str, root: Path = _ROOT) -> str:
    """Hash the code of a module and of all modules of its package that it uses.

    Parameters
    ----------
    module : str
        A module's full name, such as ``"derotation.steps.parse_signals"``.
    root : Path
        The folder of the package that the name begins with.

    Returns
    -------
    str
        SHA-256 as 64 hexadecimal digits.

    Raises
    ------
    ValueError
        If there is no such module.

    Notes
    -----
    A package's ``__init__`` counts only where a name is imported from it: what it re-exports for
    convenience must not tie every module of the package to all the others. Versions of other
    packages do not count: a new NumPy is no reason to compute all sessions again.

    To parse the library takes more than a second, each time that Snakemake starts. So what was
    found in a file is kept beside Python's own compiled modules, as long as the file has the same
    size and time, and the package the same files: after a change one file is parsed. All of them
    are after a change of this module, which tells what counts.
    """
    known = len(_known(root))
    seen = {name: _look(name, root) for name in modules_behind(module, root)}
    if len(_known(root)) > known:
        _keep(root)
    lines = "".join(f"{name} {one.code}\n" for name, one in seen.items())
    return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Module:
    """What the file of a module says."""

    code: str
    """SHA-256 of its code, without what does nothing."""
    imports: tuple[str, ...]
    """The modules of its package that stand in import statements, wherever these are."""


def _look(module: str, root: Path) -> _Module:
    """Tell what a module says, as it was kept or else from its file."""
    path = _path(module, root)
    known, name = _known(root), str(path.relative_to(root))
    if name not in known:
        code = hashlib.sha256(_canonical_code(path).encode()).hexdigest()
        known[name] = _Module(code, tuple(_imported(module, root)))
    return known[name]


@cache
def _looked_at(root: Path) -> int:
    """Tell when the state of a package's files was first asked for, ns."""
    return time.time_ns()


@cache
def _states(root: Path) -> dict[str, tuple[int, int]]:
    """Tell time and size of each of a package's files."""
    _looked_at(root)
    # An editor's link to nowhere, by which it locks a file, is none.
    paths = [path for path in sorted(root.rglob("*.py")) if path.is_file()]
    files = {str(path.relative_to(root)): path.stat() for path in paths}
    return {name: (file.st_mtime_ns, file.st_size) for name, file in files.items()}


@cache
def _maker() -> str:
    """Name what makes entries: Python's parser and the rules of this module."""
    return f"{sys.version} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


@cache
def _known(root: Path) -> dict[str, _Module]:
    """Give what is known of the package's files: what was kept, and what is found from now on.

    Which module an import means depends on the files that there are, whatever is in them.
    """
    states, kept = _states(root), _kept(root)
    if kept.keys() != states.keys():
        return {}
    return {
        name: _Module(code=one["code"], imports=tuple(one["imports"]))
        for name, one in kept.items()
        if one is not None and tuple(one["state"]) == states[name]
    }


def _kept(root: Path) -> dict[str, Any]:
    """Read what was kept: an entry for each file, null if nothing is known of it."""
    try:
        content = json.loads(_kept_in(root).read_text(encoding="utf-8"))
        kept = content["files"] if content["maker"] == _maker() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return kept if isinstance(kept, dict) and all(map(_is_well, kept.values())) else {}


def _is_well(entry: object) -> bool:
    if not isinstance(entry, dict):
        return entry is None
    state, code, imports = (entry.get(key) for key in ("state", "code", "imports"))
    return (
        isinstance(state, list)
        and isinstance(code, str)
        and len(code) == 64
        and isinstance(imports, list)
        and all(isinstance(name, str) for name in imports)
    )


def _keep(root: Path) -> None:
    """Keep what is known, if there is a place for it; others may do the same at this moment.

    Not of a file that had just changed when it was looked at: another change within the same tick
    of the clock would go unnoticed.
    """
    settled = _looked_at(root) - _SETTLED_NS
    known, files = _known(root), {}
    for name, state in _states(root).items():
        keeps = name in known and state[0] < settled
        files[name] = {"state": state, **asdict(known[name])} if keeps else None
    text = json.dumps({"maker": _maker(), "files": files})
    path = _kept_in(root)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def _kept_in(root: Path) -> Path:
    return root / "__pycache__" / f"fingerprints.{sys.implementation.cache_tag}.json"


@cache
def modules_behind(module: str, root: Path = _ROOT) -> tuple[str, ...]:
    """List a module and, in turn, the modules of the same package that it imports.

    Parameters
    ----------
    module : str
        A module's full name.
    root : Path
        The folder of the package that the name begins with.

    Returns
    -------
    tuple of str
        Full names, sorted.

    Raises
    ------
    ValueError
        If there is no such module.
    """
    if not _exists(module, root):
        raise ValueError(f"there is no module {module} in {root}")
    found, waiting = {module}, [module]
    while waiting:
        name = waiting.pop()
        fresh = set(_look(name, root).imports) - found
        found |= fresh
        waiting += fresh
    return tuple(sorted(found))


def _imported(module: str, root: Path) -> Iterator[str]:
    package = root.name
    for node in _statements(_tree(_path(module, root))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (name for name in names if _exists(name, root))
        elif isinstance(node, ast.ImportFrom):
            home = _home(node, module, root)
            if home != package and not home.startswith(f"{package}."):
                continue
            for alias in node.names:
                submodule = f"{home}.{alias.name}"
                yield submodule if _exists(submodule, root) else home


def _home(node: ast.ImportFrom, module: str, root: Path) -> str:
    """Resolve what follows ``from``, which may be relative to the importing module."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    is_package = _path(module, root).name == "__init__.py"
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _path(module: str, root: Path) -> Path:
    parts = module.split(".")[1:]
    file = root.joinpath(*parts, "__init__.py")
    # A folder may be left over, with compiled modules only.
    return file if file.is_file() or not parts else root.joinpath(*parts).with_suffix(".py")


def _exists(module: str, root: Path) -> bool:
    return module.split(".")[0] == root.name and _path(module, root).is_file()


@cache
def _tree(path: Path) -> ast.Module:
    """Parse a module, and leave out what does nothing when it runs."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    for node in [tree, *_statements(tree)]:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [item for item in node.body if not _is_idle(item)] or [ast.Pass()]
    return tree


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Give all statements within a node; expressions, most of a tree, hold none."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, block, ()):
            yield child
            yield from _statements(child)


@cache
def _canonical_code(path: Path) -> str:
    """Write a module's code without layout, comments and docstrings."""
    return ast.unparse(_tree(path))


def _is_idle(node: ast.stmt) -> bool:
    """Tell docstrings, and imports that only serve type checkers."""
    if isinstance(node, ast.If):
        named = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return named and not node.orelse
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
