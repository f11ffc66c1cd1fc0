"""`coordbench profile`: say where time and memory go."""

from __future__ import annotations

from typing import Annotated, Literal

from tyro.conf import Positional, arg

from coordbench.harness.cli.arguments import OUT, Device, Out, Plugins, command


@command("profile", "profile coordconv --against conv")
def profile_layer(
    layer: Annotated[Positional[str | None], arg(help="a layer, such as coordconv[radius=true]")] = None,
    *,
    against: Annotated[str, arg(help="the layer beside it, or none")] = "conv",
    shape: Annotated[str, arg(help="the input: N,C and one to three sizes")] = "32,32,64,64",
    kernel: Annotated[int, arg(help="size of the kernel")] = 3,
    stride: Annotated[int, arg(help="stride of the layer")] = 1,
    phase: Annotated[Literal["forward", "step", "evaluation"], arg(help="step: forward and backward")] = "step",
    task: Annotated[str | None, arg(help="a task whose whole training step is profiled instead")] = None,
    backbone: Annotated[str | None, arg(help="the network of that task")] = None,
    variant: Annotated[str | None, arg(help="the same as LAYER")] = None,
    fingerprint: Annotated[bool, arg(help="count the step exactly, time nothing")] = False,
    device: Device = "auto",
    plugin: Plugins = [],  # noqa: B006
    json: Annotated[bool, arg(help="print everything as JSON")] = False,
    out: Out = OUT,
) -> int:
    """Say where the time and the memory of a layer's step go, beside a baseline; write a page and a trace."""
    from coordbench.harness.api.execution import load_plugins
    from coordbench.harness.api.profiling import Asked
    from coordbench.harness.cli import profiling

    sources = load_plugins(plugin)
    named = layer or variant
    asked = Asked(named, against, shape, kernel, stride, phase, task, backbone, device, sources, out)
    return (profiling.fingerprint if fingerprint else profiling.profile)(asked, as_json=json)
