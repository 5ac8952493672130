"""The command `distrl`: the return distribution of a known model, from a shell. Needs the extra `cli` (typer, rich)."""

import sys

try:
    import rich as rich
    import typer as typer
except ModuleNotFoundError as error:
    # the installed command begins here: a sentence instead of a traceback
    print(f"distrl: the command line needs {error.name}: pip install 'distrl[cli]'", file=sys.stderr)
    raise SystemExit(2) from error

from distrl.cli.commands import app, main

__all__ = ["app", "main"]
