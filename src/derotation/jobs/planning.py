"""Quicker plans: what Snakemake looks up for each job anew is kept.

To plan a thousand sessions is to make ten thousand jobs. For each of them Snakemake asks some 25
times which arguments a function takes, and opens the rule's script to see whether it is there:
together a fifth of the time, though neither changes from one job to the next. This is a matter of
speed alone: a Snakemake that is made in another way does as it likes.
"""

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["keep_lookups"]


def keep_lookups() -> None:
    """Let this process's Snakemake look up arguments once per function, scripts once per rule."""
    from snakemake import common, dag, jobs, rules

    _keep_arguments(common, (common, jobs, rules))
    _keep_scripts(getattr(dag, "ScriptProcessor", None))


def _keep_arguments(common: Any, modules: tuple[Any, ...]) -> None:
    """Keep what Snakemake's own function finds out, wherever it is asked."""
    look = getattr(common, "get_function_params", None)
    # Tells that Snakemake was told something else about a function.
    told = getattr(common, "FUNC_OVERWRITE_PARAMS_ATTR", None)
    if look is None or told is None or hasattr(look, "__wrapped__"):
        return
    kept = _kept_by_function(look, told)
    for module in modules:
        if getattr(module, "get_function_params", None) is look:
            module.get_function_params = kept


def _kept_by_function(look: Callable[[Any], Any], told: str) -> Callable[[Any], Any]:
    functions: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
    methods: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    @functools.wraps(look)
    def kept(func: Any) -> Any:
        if isinstance(func, MethodType):
            # Made anew each time that an object is asked for it; its function is the same one.
            found, key = methods, func.__func__
        else:
            found, key = functions, func
        if not isinstance(key, FunctionType) or hasattr(key, told):
            return look(func)
        if key not in found:
            found[key] = look(func)
        return found[key]

    return kept


def _keep_scripts(processor: Any) -> None:
    """Look only at the first of a rule's jobs for its script, unless its name differs by job."""
    look = getattr(processor, "process_job", None)
    if look is None or hasattr(look, "__wrapped__"):
        return

    @functools.wraps(look)
    def process_job(self: Any, job: Any) -> None:
        script = getattr(job.rule, self.script_type, None)
        if script is None or "{" in str(script):
            look(self, job)
            return
        seen = vars(self).setdefault("_seen_rules", set())
        if job.rule.name not in seen:
            look(self, job)
            seen.add(job.rule.name)

    processor.process_job = process_job
