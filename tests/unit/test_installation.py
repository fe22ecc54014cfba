"""Two distributions with a package of one name: installed and uninstalled as pip does it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from derotation_installation import InstallationError, mixture, refuse_mixture

OURS = {
    "derotation/__init__.py": "import derotation.errors",
    "derotation/errors.py": (
        "from derotation_installation import refuse_mixture\nrefuse_mixture()\n"
    ),
    "derotation/cli.py": "def main():\n    print('the command')\n    return 0",
    "derotation/derotate_by_line.py": "ours = True",
    "derotation_installation.py": (
        Path(sys.modules["derotation_installation"].__file__).read_text()
    ),
}
THEIRS = {
    "derotation/__init__.py": "",
    "derotation/derotate_by_line.py": "ours = False",
    "derotation/analysis/metrics.py": "",
}


class Folder:
    """What pip does to a folder of packages."""

    def __init__(self, path):
        self.path = path

    def install(self, name, version, files):
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files = {**files, f"{info}/METADATA": metadata}
        files[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"])
        for file, text in files.items():
            place = self.path / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def uninstall(self, name):
        (info,) = self.path.glob(f"{name.replace('-', '_')}-*.dist-info")
        for line in (info / "RECORD").read_text().splitlines():
            (self.path / line.split(",")[0]).unlink(missing_ok=True)
        info.rmdir()

    def python(self, code):
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(self.path)!r}); {code}",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def command(self):
        return self.python("from derotation_installation import main; sys.exit(main())")


def ours(folder):
    folder.install("derotation-workflow", "0.2.0", OURS)


def theirs(folder):
    folder.install("derotation", "0.1.6", THEIRS)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_whole_installation_runs_without_a_word(folder):
    ours(folder)
    assert mixture(folder.path) is None
    assert mixture(folder.path, search=True) is None
    refuse_mixture(folder.path)
    ran = folder.command()
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "the command\n", "")
    assert folder.python("import derotation.cli").stderr == ""


@pytest.mark.parametrize("order", [(ours, theirs), (theirs, ours)])
def test_both_at_once_are_refused_in_one_sentence_with_the_cure(folder, order):
    for install in order:
        install(folder)
    with pytest.raises(InstallationError, match=r"derotation 0\.1\.6 has put .*mixed") as told:
        refuse_mixture(folder.path)
    ran = folder.command()
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    assert "pip uninstall -y derotation && " in str(told.value)
    assert "install --force-reinstall --no-deps derotation-workflow" in ran.stderr


def test_importing_ours_beside_theirs_is_refused(folder):
    theirs(folder)
    ours(folder)
    assert "InstallationError" in folder.python("import derotation").stderr


def test_what_is_left_of_ours_is_refused_where_their_init_replaced_it(folder):
    ours(folder)
    theirs(folder)
    assert folder.python("import derotation").stderr == ""  # theirs: we are not asked
    assert "InstallationError" in folder.python("import derotation.errors").stderr
    folder.uninstall("derotation")
    assert (
        "files of derotation-workflow are gone" in folder.python("import derotation.errors").stderr
    )


@pytest.mark.parametrize("order", [(ours, theirs), (theirs, ours)])
def test_files_that_the_other_took_along_are_missed(folder, order):
    for install in order:
        install(folder)
    folder.uninstall("derotation")
    assert not (folder.path / "derotation/__init__.py").exists()
    said = folder.command().stderr
    assert "2 files of derotation-workflow are gone (such as derotation/__init__.py)" in said
    assert "uninstall -y" not in said
    ours(folder)  # what is asked for
    assert folder.command().stdout == "the command\n"


def test_the_cure_for_both_at_once_cures(folder):
    ours(folder)
    theirs(folder)
    folder.uninstall("derotation")
    ours(folder)
    assert mixture(folder.path, search=True) is None


def test_compiled_files_may_be_missing(folder):
    folder.install("derotation-workflow", "0.2.0", {**OURS, "derotation/__pycache__/cli.pyc": ""})
    (folder.path / "derotation/__pycache__/cli.pyc").unlink()
    assert mixture(folder.path) is None


def test_a_copy_under_another_name_is_found_by_looking_through_all(folder):
    ours(folder)
    folder.install("derotation-fork", "3", THEIRS)
    folder.install("numpy", "2", {"numpy/derotation/a.py": "", "derotation_else/a.py": ""})
    assert mixture(folder.path) is None
    assert "derotation-fork 3" in mixture(folder.path, search=True)
    assert "uninstall -y derotation-fork" in mixture(folder.path, search=True)


def test_theirs_before_an_editable_install_is_seen_by_the_command(tmp_path):
    source, packages = Folder(tmp_path / "src"), Folder(tmp_path / "packages")
    ours(source)
    theirs(packages)
    ran = source.python(
        f"sys.path.insert(0, {str(packages.path)!r});"
        "from derotation_installation import main; sys.exit(main())"
    )
    assert ran.returncode == 1
    assert f"gives the package in {packages.path / 'derotation'} instead" in ran.stderr
    assert "pip uninstall -y derotation" in ran.stderr


def test_a_copy_of_ours_before_an_editable_install_is_no_other_package(tmp_path):
    source, packages = Folder(tmp_path / "src"), Folder(tmp_path / "packages")
    ours(source)
    packages.install("copied", "1", {**OURS, "derotation/_moved.py": ""})
    ran = source.python(
        "import derotation_installation;"
        f"sys.path.insert(0, {str(packages.path)!r});"
        "print(derotation_installation.mixture())"
    )
    assert (ran.stdout, ran.stderr) == ("None\n", "")


@pytest.mark.parametrize(
    ("told", "source"),
    [
        ({"url": "file:///a", "dir_info": {}}, "'derotation-workflow @ file:///a'"),
        (
            {"url": "https://b/c.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            "'derotation-workflow @ git+https://b/c.git@12ab'",
        ),
    ],
)
def test_the_cure_installs_from_where_it_came(folder, told, source):
    url = {"derotation_workflow-0.2.0.dist-info/direct_url.json": json.dumps(told)}
    folder.install("derotation-workflow", "0.2.0", {**OURS, **url})
    (folder.path / "derotation/cli.py").unlink()
    assert mixture(folder.path).endswith(f"--no-deps {source}")
