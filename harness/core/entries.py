"""What a registered name stands for: an entry, an entry with options, a layer factory that checks its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import Option, show, valid
from coordbench.harness.core.problem import LayerFactory
from coordbench.harness.core.selector import Selector

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["variant", "task", "backbone", "reference"]


@dataclass(frozen=True)
class Entry:
    """A registered function and what its file says about it."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    file: str
    options: tuple[Option, ...]
    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def convert(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Typed options from the texts of a selector; raise UsageError for one that is not known or not valid."""
        known = {option.name: option for option in self.options}
        for key in texts:
            if key not in known:
                raise UsageError(f"unknown option {key!r} of {self.kind} {self.name!r}; {valid(key, known)}")
        return {key: known[key].convert(text, f"{self.kind} {self.name!r}") for key, text in texts.items()}

    def selector(self, options: Mapping[str, Any]) -> Selector:
        """The canonical selector: options sorted, defaults left out."""
        defaults = {option.name: option.default for option in self.options}
        other = {key: value for key, value in sorted(options.items()) if value != defaults[key]}
        return Selector(self.name, tuple((key, show(value)) for key, value in other.items()))


@dataclass(frozen=True)
class Selected:
    """An entry with its options: what a selector such as `unet[depth=3]` names."""

    entry: Entry
    options: Mapping[str, Any]

    @property
    def selector(self) -> Selector:
        """The canonical selector."""
        return self.entry.selector(self.options)

    @property
    def label(self) -> str:
        """The canonical selector as text."""
        return str(self.selector)

    @property
    def all_options(self) -> dict[str, Any]:
        """The options with their defaults."""
        return {option.name: option.default for option in self.entry.options} | dict(self.options)


@dataclass(frozen=True)
class Layer(LayerFactory):
    """A variant with its options, as a LayerFactory that checks its arguments."""

    selected: Selected

    @property
    def name(self) -> str:
        """The base name of the variant."""
        return self.selected.entry.name

    @property
    def label(self) -> str:
        """The canonical selector of the variant."""
        return self.selected.label

    def __call__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, size: tuple[int, ...], stride: int = 1,
        bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """Build the layer; raise ValueError naming the argument that does not fit."""
        self._check(in_channels, out_channels, kernel_size, tuple(size), stride)
        module: nn.Module = self.selected.entry.function(
            in_channels, out_channels, kernel_size, size=tuple(size), stride=stride, bias=bias, **self.selected.options
        )
        module.coordbench_layer = self  # type: ignore[assignment]  # measure/flops.py finds the formula by it
        return module

    def _check(self, in_channels: int, out_channels: int, kernel_size: int, size: tuple[int, ...], stride: int) -> None:
        counts = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "kernel_size": kernel_size,
            "stride": stride,
        }
        for argument, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{self.label}: {argument}={value!r} must be an integer of at least 1")
        dims = self.selected.entry.facts["dims"]
        if len(size) not in dims or any(not isinstance(n, int) or n < 1 for n in size):
            shapes = " or ".join(f"{d}-D" for d in dims)
            raise ValueError(
                f"{self.label}: size={size!r} must be {shapes}, positive integers, such as {(8,) * dims[-1]}"
            )
