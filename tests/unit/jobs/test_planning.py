"""What Snakemake is told is what it would have found itself, but it looks only once."""

import functools
import gc
import inspect
import subprocess
import sys
from types import SimpleNamespace

import pytest

from derotation.jobs.planning import _keep_arguments, _keep_scripts

TOLD = "_overwrite_params"


class Resource:
    """Like a resource of Snakemake: its method is asked for again and again."""

    def evaluate(self, *args, **kwargs):
        """Have arguments of both kinds."""

    def needs(self, wildcards, attempt):
        """Have named ones."""


def plain(wildcards, attempt):
    """Have named arguments."""


@pytest.fixture
def snakemake():
    """Modules like those of Snakemake, and the number of times that they looked."""
    asked = []

    def get_function_params(func):
        asked.append(func)
        return getattr(func, TOLD, None) or inspect.signature(func).parameters

    common = SimpleNamespace(
        get_function_params=get_function_params, FUNC_OVERWRITE_PARAMS_ATTR=TOLD
    )
    rules = SimpleNamespace(get_function_params=get_function_params)
    other = SimpleNamespace(get_function_params=None)
    _keep_arguments(common, (common, rules, other))
    return SimpleNamespace(common=common, rules=rules, other=other, asked=asked)


@pytest.mark.parametrize(
    "function",
    [plain, Resource.needs, Resource().needs, Resource().evaluate, lambda **kwargs: kwargs,
     functools.partial(plain, attempt=1), Resource, len, print],
)  # fmt: skip
def test_arguments_are_those_of_each_function(snakemake, function):
    for _ in range(3):
        for module in (snakemake.common, snakemake.rules):
            assert module.get_function_params(function) == inspect.signature(function).parameters


def test_a_method_of_many_objects_is_looked_at_once(snakemake):
    for _ in range(20):
        assert list(snakemake.rules.get_function_params(Resource().needs)) == [
            "wildcards", "attempt",
        ]  # fmt: skip
    assert len(snakemake.asked) == 1
    # The same function, not as a method, takes one more.
    assert "self" in snakemake.rules.get_function_params(Resource.needs)


def test_what_snakemake_was_told_about_a_function_counts(snakemake):
    def function(*args):
        return args

    assert list(snakemake.common.get_function_params(function)) == ["args"]
    setattr(function, TOLD, ["wildcards"])
    assert snakemake.common.get_function_params(function) == ["wildcards"]


def test_functions_made_for_one_job_are_not_kept(snakemake):
    def for_one_job():
        return lambda wildcards: wildcards

    snakemake.asked.clear()
    for _ in range(5):
        snakemake.common.get_function_params(for_one_job())
        snakemake.asked.clear()
    gc.collect()
    kept = snakemake.common.get_function_params.__closure__
    assert all(len(cell.cell_contents) == 0 for cell in kept if hasattr(cell.cell_contents, "data"))


def test_a_snakemake_of_another_kind_stays_as_it_is(snakemake):
    assert snakemake.other.get_function_params is None
    kept = snakemake.common.get_function_params
    _keep_arguments(snakemake.common, (snakemake.common,))  # a second time
    assert snakemake.common.get_function_params is kept
    without = SimpleNamespace(get_function_params=plain)
    _keep_arguments(without, (without,))
    assert without.get_function_params is plain
    _keep_scripts(None)
    _keep_scripts(SimpleNamespace())


def test_scripts_are_looked_for_once_per_rule():
    class ScriptProcessor:
        script_type = "script"

        def __init__(self):
            self.looked = []

        def process_job(self, job):
            self.looked.append(job)

    def jobs(name, script):
        rule = SimpleNamespace(name=name, **script)
        return [SimpleNamespace(rule=rule) for _ in range(3)]

    _keep_scripts(ScriptProcessor)
    once, again = jobs("a", {"script": "a.py"}), jobs("b", {"script": "a.py"})
    each, shell = jobs("c", {"script": "{wildcards.x}.py"}), jobs("d", {"script": None})
    for _ in range(2):  # each run has a processor of its own
        processor = ScriptProcessor()
        for job in (*once, *again, *each, *shell):
            processor.process_job(job)
        assert processor.looked == [once[0], again[0], *each, *shell]


def test_it_is_done_to_the_snakemake_that_is_installed():
    code = (
        "import snakemake.api\n"
        "from derotation.jobs.planning import keep_lookups\n"
        "from snakemake import common, dag, rules\n"
        "before = common.get_function_params, dag.ScriptProcessor.process_job\n"
        "keep_lookups()\n"
        "keep_lookups()\n"
        "after = common.get_function_params, dag.ScriptProcessor.process_job\n"
        "print([one.__wrapped__ is two for one, two in zip(after, before)])\n"
        "print(rules.get_function_params is after[0])\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["[True, True]", "True"], said.stderr
