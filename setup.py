"""What pyproject.toml cannot say: ``GATEKEEPER_COMPILE=1`` has the modules on a request's way compiled, by mypyc.

The source is the same. Without the switch, in an editable install, and where nothing can be compiled, it is Python as
ever; ``gatekeeper --version`` says which of both is installed.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import setup

SWITCH = "GATEKEEPER_COMPILE"
MYPY = "mypy[mypyc]>=2.4,<2.5"
"""One minor version: a compiler that nobody has run the tests with is not to be trusted with users' bytes."""
COMPILED = {
    "http1": ("errors", "fields", "framing", "memory", "request", "response", "upgrade"),
    "core": ("decision", "hosts", "match", "prefixes", "routing", "rules", "service", "sticky", "units"),
    "dataplane": (
        *("answering", "backends", "columns", "docket", "downstream", "ending", "exchange", "flag_docket", "forward"),
        *("groups", "ids", "life", "parting", "plane", "question", "sending", "sheet", "tally", "upstream"),
    ),
    "telemetry": ("recorder",),
}
"""What every request passes. Left out is what is rarely met, and what reads messages: compiled code insists on types
that a message merely promises."""
FILES = [f"gatekeeper/{part}/{name}.py" for part, names in COMPILED.items() for name in names]


def lacks() -> str:
    """What is missing here to compile; empty if nothing is."""
    try:
        import mypyc  # noqa: F401 - only whether it is there
    except ImportError:
        return f"{MYPY} is not installed"
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text("#include <Python.h>\nint tried;\n")
        command = [*shlex.split(compiler), f"-I{sysconfig.get_path('include')}", "-c", str(source)]
        try:
            done = subprocess.run(  # noqa: S603 - the compiler that Python names, or the user
                [*command, "-o", str(Path(folder, "try.o"))], capture_output=True, timeout=60, check=False
            )
        except OSError as error:
            return f"no C compiler: {error}"
    return "" if done.returncode == 0 else f"{compiler} compiles nothing that needs Python.h: install Python's headers"


def extensions() -> list[object]:
    """Those to build in this run; none while only names and needs are asked for."""
    if not {"bdist_wheel", "build", "build_ext"} & set(sys.argv):
        return []
    if missing := lacks():
        print(f"gatekeeper: not compiled, it will run as pure Python: {missing}", file=sys.stderr)  # noqa: T201
        return []
    from mypyc.build import mypycify

    # Types were checked where the source was written; here its dependencies need not be installed.
    options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
    found: list[object] = mypycify([*options, *FILES], opt_level="3", debug_level="0")
    return found


if __name__ == "__main__":
    wanted = os.environ.get(SWITCH) == "1"
    setup(
        setup_requires=[MYPY] if wanted and "editable_wheel" not in sys.argv else [],
        ext_modules=extensions() if wanted else [],
    )
