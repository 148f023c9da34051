"""run.py, as a user calls it."""

import subprocess
import sys
from types import SimpleNamespace

from click.testing import CliRunner

from experiments.commands import main
from tests.helpers.paths import ROOT

RUN = ROOT / "run.py"
SMALL = "phantom:size=48x40x6"


def run(*arguments, cwd=ROOT, **settings):
    """Run run.py in a process of its own."""
    command = [sys.executable, str(RUN), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, **settings)


def run_here(*arguments):
    """Run run.py in this process, which has already imported what takes a second."""
    words = list(map(str, arguments))
    done = CliRunner().invoke(main, words, prog_name="run.py", catch_exceptions=False)
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)
