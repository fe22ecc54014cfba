"""Read configuration files, and tell where in them a value stands."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from derotation.errors import ConfigError
from derotation.settings.schema import KeyPath, Problem, canonical, plain

_MOST_NODES = 1_000_000

__all__ = ["homes_of", "key_lines", "locate", "merge", "merge_files", "read_yaml"]


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of keys with values.

    Parameters
    ----------
    path : path
        The file, in UTF-8.

    Returns
    -------
    dict
        Its content; empty if there is nothing in it.

    Raises
    ------
    ConfigError
        If it cannot be read, is no YAML mapping, or holds a key twice.
    """
    content = _parse(Path(path), _StrictLoader.construct_document)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys with values at the top level.")
    return content


def merge_files(paths: Iterable[Path]) -> dict[str, Any]:
    """Read configuration files, later ones overriding earlier ones, without checking them."""
    merged: dict[str, Any] = {}
    for path in paths:
        merged = merge(merged, read_yaml(path))
    return merged


def merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Override settings by others, key by key, also within sections.

    Parameters
    ----------
    base, top : mapping
        Settings, and those that override them. Neither is changed.

    Returns
    -------
    dict
    """
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def key_lines(path: str | Path) -> dict[KeyPath, int]:
    """Tell in which line of a YAML file each key, and each item of a list, stands.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of tuple to int
        Keys and list positions that lead there, and the line, counted from 1.

    Raises
    ------
    ConfigError
        As :func:`read_yaml`.
    """
    found = _parse(Path(path), lambda loader, node: dict(_lines(loader, node, ())))
    return dict(found or {})


def locate(
    problems: Iterable[Problem],
    config: Mapping[str, Any],
    files: Iterable[str | Path],
    parts: Mapping[KeyPath, Path] | None = None,
) -> list[str]:
    """Put file, line and key in front of what is wrong.

    Parameters
    ----------
    problems : iterable of Problem
        What is wrong.
    config : mapping
        The configuration as it was given, without the defaults.
    files : iterable of paths
        The files that it was read from, later ones overriding earlier ones. A value that none of
        them holds was given on the command line.
    parts : mapping of tuple to Path, optional
        Files that hold a part of the configuration, by the keys that lead there. Keys are said as
        they stand in such a file.

    Returns
    -------
    list of str
        Such as ``config.yaml, line 12: signals.sampling_rate: found 0, allowed: ...``.
    """
    problems = list(problems)
    if not problems:
        return []  # reading large files takes seconds
    contents = {Path(file): read_yaml(file) for file in files if Path(file).is_file()}
    lines = {file: key_lines(file) for file in contents}
    elsewhere = "command line (--config)" if contents else "configuration"
    said = []
    for problem in problems:
        path = problem.path
        part = next((keys for keys in parts or {} if path[: len(keys)] == keys), None)
        if parts and part is not None:
            said.append(_within(parts[part], replace(problem, path=path[len(part) :])))
            continue
        while path and not _found(config, path):
            path = path[:-1]  # what is missing, or has its default, belongs into the section
        home = _home(path, config, contents)
        line = lines[home].get(path) if home else None
        place = f"{home}, line {line}" if line else home or elsewhere
        said.append(f"{place}: {problem.key}: {problem.text}")
    return said


def _within(file: Path, problem: Problem) -> str:
    """Put file, line and key in front of what is wrong in a file with a part of the settings."""
    path, content, lines = problem.path, read_yaml(file), key_lines(file)
    while path and not _found(content, path):
        path = path[:-1]
    place = f"{file}, line {lines[path]}" if path in lines else str(file)
    return f"{place}: {problem.key}: {problem.text}"


def homes_of(
    paths: Iterable[KeyPath], config: Mapping[str, Any], files: Iterable[str | Path]
) -> dict[KeyPath, Path | None]:
    """Find the files in which values of the configuration stand.

    Parameters
    ----------
    paths : iterable of tuple
        Keys that lead to a value.
    config, files
        See :func:`locate`.

    Returns
    -------
    dict of tuple to Path or None
        By the keys; None if a value came from elsewhere.
    """
    paths = list(paths)
    if not paths:
        return {}
    contents = {Path(file): read_yaml(file) for file in files if Path(file).is_file()}
    return {path: _home(path, config, contents) for path in paths}


def _home(
    path: KeyPath, config: Mapping[str, Any], contents: Mapping[Path, dict[str, Any]]
) -> Path | None:
    """Find the file that says what the configuration says; None if that came from elsewhere."""
    wanted = _found(config, path)
    homes = [file for file, content in contents.items() if _found(content, path)]
    if not homes:
        return None
    said = _found(contents[homes[-1]], path)
    # A section may be made of parts from several places.
    return homes[-1] if isinstance(wanted[0], Mapping) or _equal(said, wanted) else None


def _found(content: Any, path: KeyPath) -> list[Any]:
    """Look up a value: a list of it, or an empty one."""
    for part in path:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return []
    return [content]


def _equal(one: Any, two: Any) -> bool:
    return repr(canonical(plain(one))) == repr(canonical(plain(two)))


def _parse(path: Path, get: Callable[[Any, Any], Any]) -> Any:
    try:
        with path.open(encoding="utf-8") as stream:
            loader = _StrictLoader(stream)
            node = loader.get_single_node()
            if node is None:
                return None
            _count_nodes(node, {})
            return get(loader, node)
    except RecursionError as error:
        raise ConfigError(f"{path}: its sections lie too deep within each other.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: this is no UTF-8 text; save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: this is no valid YAML: {_yaml_reason(error)}") from error


def _count_nodes(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the values of a YAML tree, aliases written out; refuse one without an end."""
    known = sizes.get(id(node))
    if known is None:
        sizes[id(node)] = 0
        pairs = node.value if isinstance(node, yaml.CollectionNode) else ()
        children = [part for pair in pairs for part in (pair if type(pair) is tuple else (pair,))]
        known = sizes[id(node)] = 1 + sum(_count_nodes(child, sizes) for child in children)
    elif not known:
        reason = "this section contains itself, by an alias (*) of its own anchor (&)"
        raise yaml.MarkedYAMLError(problem=reason, problem_mark=node.start_mark)
    if known > _MOST_NODES:
        reason = "its aliases (*) stand for more values than any configuration has"
        raise yaml.MarkedYAMLError(problem=reason, problem_mark=node.start_mark)
    return known


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {reason}." if mark else f"{reason}."


def _lines(
    loader: yaml.SafeLoader, node: yaml.Node | None, path: KeyPath
) -> Iterator[tuple[KeyPath, int]]:
    """Walk a YAML tree; what ``<<`` merges in comes before the keys that override it."""
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        for key, value in node.value:
            inner = (*path, loader.construct_object(key, deep=True))
            yield inner, key.start_mark.line + 1
            yield from _lines(loader, value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*path, index), item.start_mark.line + 1
            yield from _lines(loader, item, (*path, index))


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep only the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping after looking for repeated keys."""
        lines: dict[object, int] = {}
        for key_node, _ in node.value:
            key = key_node.value
            line = key_node.start_mark.line + 1
            if key in lines and key != "<<":
                reason = f'the key "{key}" stands there twice (first in line {lines[key]})'
                raise yaml.MarkedYAMLError(problem=reason, problem_mark=key_node.start_mark)
            if isinstance(key, str):
                lines[key] = line
        return super().construct_mapping(node, deep=deep)
