"""Names for layers, tasks, backbones and references.

A file registers what it holds by a decorator; nothing else lists it. Built-in files are found by walking the packages
`variants` and `tasks`; a user's own come as plug-in files (`--plugin my_layer.py`) or by the entry point group
`coordbench.plugins`.

    >>> layer = registry.layer("coordconv[radius=true]")
    >>> layer(3, 8, 3, size=(32, 32))
"""

from coordbench.harness.core.registry.decorators import backbone, reference, task, variant
from coordbench.harness.core.registry.lookup import (
    entries,
    entry,
    layer,
    network,
    problem,
    references,
    refusal,
    select,
    solve,
)
from coordbench.harness.core.registry.plugins import load, load_plugin, plugin_folders, unload_plugin

__all__ = [
    "backbone",
    "entries",
    "entry",
    "layer",
    "load",
    "load_plugin",
    "network",
    "plugin_folders",
    "problem",
    "reference",
    "references",
    "refusal",
    "select",
    "solve",
    "task",
    "unload_plugin",
    "variant",
]
