"""Import the files that register names: the built-in ones, installed plug-ins, and files of a user."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from coordbench.harness.core.errors import UsageError, describe_error
from coordbench.harness.core.options import valid
from coordbench.harness.core.registry.catalog import REFERENCES, TASKS, files, forget
from coordbench.harness.core.registry.naming import check_names

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_PACKAGES = ("coordbench.variants", "coordbench.tasks")
_loaded: set[str] = set()


def load() -> None:
    """Import every built-in file and installed plug-in, so that their names are known."""
    for package in _PACKAGES:
        if package in _loaded:
            continue
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            importlib.import_module(module.name)
        _loaded.add(package)
    if "plugins" not in _loaded:
        from importlib.metadata import entry_points  # dear: a tenth of `coordbench --help`, which loads nothing

        for point in entry_points(group="coordbench.plugins"):
            _load_installed(point)
        _loaded.add("plugins")


def load_plugin(path: str | Path) -> None:
    """Import a user's file, from wherever it lies; raise UsageError with its reason if that fails."""
    file = Path(path).resolve()
    if str(file) in _loaded:
        return
    if not file.is_file():
        raise UsageError(
            f"plug-in {str(path)!r} is not a file; expected a Python file that registers a variant or task"
        )
    load()  # so that it is the plug-in that takes a name twice
    _execute(path, file)
    _check_references(file)
    check_names(str(file))
    _loaded.add(str(file))


def unload_plugin(file: str) -> None:
    """Forget what a file or a notebook (`NOTEBOOK`) registered, so that another may take its names."""
    forget(file)
    _loaded.discard(file)


def plugin_folders() -> set[Path]:
    """The folders of the plug-in files that were loaded."""
    return {Path(name).parent for name in _loaded if name.endswith(".py")}


def _load_installed(point: EntryPoint) -> None:
    """Import an installed plug-in; raise UsageError, with its package, where that fails or a name is not valid."""
    before = files()
    try:
        point.load()
        for file in sorted(files() - before):
            _check_references(Path(file))
            check_names(file)
    except (Exception, SystemExit) as error:
        for file in files() - before:
            forget(file)
        package = point.dist.name if point.dist else "?"
        reason = str(error) if isinstance(error, UsageError) else describe_error(error)
        raise UsageError(f"plug-in {point.value!r:.100} of the installed package {package!r:.100}: {reason}") from error


def _execute(path: str | Path, file: Path) -> ModuleType:
    """Run a plug-in as a module of its own; none is left behind where that fails."""
    name = f"coordbench_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        raise UsageError(f"plug-in {str(path)!r} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:  # a plug-in may import helpers that lie beside it
        sys.path.append(str(file.parent))
    try:
        specification.loader.exec_module(module)
    except UsageError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"plug-in {str(path)!r} cannot be loaded: {describe_error(error)}") from error
    return module


def _check_references(file: Path) -> None:
    """Refuse references that stand for no task: nobody would ever see them."""
    for reference in REFERENCES.values():
        for name in reference.tasks if reference.file == str(file) else ():
            if name not in TASKS:
                raise UsageError(
                    f"reference {reference.name!r} stands for an unknown task {name!r}; {valid(name, TASKS)}"
                )
