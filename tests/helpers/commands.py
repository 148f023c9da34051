"""run.py, as a user calls it."""

from experiments.commands import main
from tests.helpers.paths import ROOT
from tests.helpers.program import invoke

RUN = ROOT / "run.py"
SMALL = "phantom:size=48x40x6"


def run_here(*words, code=0):
    """Run run.py in this process, which must end with this exit code."""
    return invoke(*words, code=code, command=main, prog_name="run.py")
