"""Settings completed by their defaults, which stand in ``config.schema.yaml`` beside this."""

from collections.abc import Mapping
from typing import Any

from derotation.errors import ConfigError
from derotation.settings.schema import (
    Problem,
    Schema,
    config_schema,
    fill_defaults,
    find_problems,
    plain,
    section_schema,
)

__all__ = ["complete", "section"]


def section(name: str, *, schema: Schema | None = None) -> dict[str, Any]:
    """Give all defaults of a section of the configuration.

    Parameters
    ----------
    name : str
        A section, such as ``"center"``, or one within a section: ``"export.bad_frames"``.
    schema : mapping, optional
        The configuration's JSON schema; by default that of this package.

    Returns
    -------
    dict
        A copy: the caller may change it. Keys that have no default are missing.

    Raises
    ------
    KeyError
        If there is no such section.
    """
    root = config_schema() if schema is None else schema
    return dict(fill_defaults({}, section_schema(name, root), root))


def complete(
    name: str, given: Mapping[str, Any] | None = None, *, schema: Schema | None = None
) -> dict[str, Any]:
    """Check the settings of a section and fill in the defaults of those that are missing.

    Parameters
    ----------
    name : str
        The section, as for :func:`section`.
    given : mapping, optional
        Some or all of its settings.
    schema : mapping, optional
        The configuration's JSON schema; by default that of this package.

    Returns
    -------
    dict
        The settings, as a YAML file would hold them: arrays and tuples are lists. A key without a
        default is missing if it was not given.

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each: unknown keys, values that are not allowed.
    KeyError
        If there is no such section.
    """
    root = config_schema() if schema is None else schema
    part = section_schema(name, root)
    filled = fill_defaults(plain({} if given is None else given), part, root)
    problems = find_problems(filled, {**part, "required": []}, root)
    if problems:
        place = tuple(name.split("."))
        whole = (Problem(path=(*place, *each.path), text=each.text) for each in problems)
        raise ConfigError("\n".join(f"{each.key}: {each.text}" for each in whole))
    return dict(filled)
