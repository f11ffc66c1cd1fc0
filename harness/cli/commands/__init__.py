"""The commands, one a file; each is a function whose signature is its command line. Their order is that of the help."""

from coordbench.harness.cli.arguments import app

# isort: off
from coordbench.harness.cli.commands import run  # noqa: F401
from coordbench.harness.cli.commands import list_things  # noqa: F401
from coordbench.harness.cli.commands import new  # noqa: F401
from coordbench.harness.cli.commands import check  # noqa: F401
from coordbench.harness.cli.commands import costs  # noqa: F401
from coordbench.harness.cli.commands import profile_layer  # noqa: F401
from coordbench.harness.cli.commands import report  # noqa: F401
from coordbench.harness.cli.commands import export  # noqa: F401
from coordbench.harness.cli.commands.travel import merge  # noqa: F401
from coordbench.harness.cli.commands.travel import verify  # noqa: F401
from coordbench.harness.cli.commands.travel import submit  # noqa: F401
from coordbench.harness.cli.commands.travel import results  # noqa: F401
from coordbench.harness.cli.commands import runs  # noqa: F401
from coordbench.harness.cli.commands import compare  # noqa: F401
from coordbench.harness.cli.commands.gating import gate  # noqa: F401
from coordbench.harness.cli.commands.gating import comment  # noqa: F401
from coordbench.harness.cli.commands import bisect  # noqa: F401
from coordbench.harness.cli.commands.gating import calibrate  # noqa: F401
from coordbench.harness.cli.commands import history  # noqa: F401
from coordbench.harness.cli.commands import completion  # noqa: F401
# isort: on

__all__ = ["app"]
