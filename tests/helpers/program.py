"""Run the program ``compresso``, in this process or in another one."""

import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result

from compresso.__main__ import main
from tests.helpers.paths import ROOT

PROGRAM = [sys.executable, "-m", "compresso"]
#: The program where no file can have more than 8192 bytes, as on a full disk.
LIMITED = [
    sys.executable,
    "-c",
    "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
    "runpy.run_module('compresso', run_name='__main__')",
]


def invoke(*words: object, code: int = 0, command: Any = main, **options: Any) -> Result:
    """Run a command in this process, which must end with this exit code."""
    done = CliRunner().invoke(command, list(map(str, words)), catch_exceptions=False, **options)
    assert done.exit_code == code, done.output
    return done


def run(
    *words: object, code: int = 0, program: list[str] = PROGRAM, **options: Any
) -> subprocess.CompletedProcess:
    """Run a command in another process, which must end with this exit code; its output is bytes."""
    options = {"cwd": ROOT, "capture_output": True, "check": False, "timeout": 120} | options
    done = subprocess.run([*program, *map(str, words)], **options)
    assert done.returncode == code, done.stderr
    return done


def one_line(done: subprocess.CompletedProcess | Result, text: str) -> None:
    """Assert that standard error has one line, which contains ``text``."""
    lines = done.stderr if isinstance(done, Result) else done.stderr.decode()
    assert text in lines
    assert len(lines.splitlines()) == 1
