"""What a registered name stands for: an entry of its kind, an entry with options, a layer factory."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from coordbench.harness.core.contest import Refuse, accepts
from coordbench.harness.core.description import About, Axes, Description, Sentence
from coordbench.harness.core.errors import UsageError
from coordbench.harness.core.options import Option, OptionValue, options_of_function, show, valid
from coordbench.harness.core.problem import LayerFactory, Metric, Models, Problem, ReferenceKind
from coordbench.harness.core.selector import Selector

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["variant", "task", "backbone", "reference"]
NOTEBOOK = "a notebook"
"""The place of what was typed in, and not read from a file."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A registered function under its name."""

    kind: ClassVar[Kind]
    hidden: ClassVar[tuple[str, ...]] = ()
    """Keyword arguments that are no options: whoever calls the function gives them."""

    name: str
    function: Callable[..., object]

    @functools.cached_property
    def options(self) -> tuple[Option, ...]:
        """The keyword arguments of the function."""
        return options_of_function(self.function, self.hidden)

    @functools.cached_property
    def file(self) -> str:
        """The file that holds the function; `NOTEBOOK` where it was typed into a notebook or a console."""
        with contextlib.suppress(TypeError, OSError):  # a class of such a place has no file at all
            file = Path(inspect.getfile(inspect.unwrap(self.function))).resolve()
            return str(file) if file.is_file() else NOTEBOOK
        return NOTEBOOK

    @property
    def place(self) -> str:
        """File and line of the function; one for all of a notebook, whose cells may be run again."""
        if self.file == NOTEBOOK:
            return NOTEBOOK
        return f"{self.file}:{inspect.getsourcelines(inspect.unwrap(self.function))[1]}"

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return _summary(self.function)

    def convert(self, texts: Mapping[str, str]) -> dict[str, OptionValue]:
        """Typed options from the texts of a selector; raise UsageError for one that is not known or not valid."""
        known = {option.name: option for option in self.options}
        for key in texts:
            if key not in known:
                raise UsageError(f"unknown option {key!r} of {self.kind} {self.name!r}; {valid(key, known)}")
        return {key: known[key].convert(text, f"{self.kind} {self.name!r}") for key, text in texts.items()}

    def selector(self, options: Mapping[str, OptionValue]) -> Selector:
        """The canonical selector: options sorted, defaults left out."""
        defaults = {option.name: option.default for option in self.options}
        other = {key: value for key, value in sorted(options.items()) if value != defaults[key]}
        return Selector(self.name, tuple((key, show(value)) for key, value in other.items()))


@dataclass(frozen=True, eq=False)
class VariantEntry(Entry):
    """A layer; `registry.variant` says what its fields mean."""

    kind: ClassVar[Kind] = "variant"
    hidden: ClassVar[tuple[str, ...]] = ("size", "stride", "bias")

    function: Callable[..., nn.Module]
    source: str = ""
    dims: tuple[int, ...] = (1, 2, 3)
    fixed_size: bool = False
    flops: Callable[[Any, tuple[int, ...]], int] | None = None
    parameters: Callable[..., int] | None = None
    textbook: Callable[..., Tensor] | None = None
    identity: Callable[..., None] | str = ""

    @property
    def formula(self) -> str:
        """The parameter count in words."""
        return _first_line(self.parameters.__doc__).rstrip(".") if self.parameters else ""

    @property
    def plain(self) -> dict[str, object]:
        """What lists and reports show of it, as plain values."""
        return {"source": self.source, "dims": self.dims, "fixed_size": self.fixed_size, "formula": self.formula}


@dataclass(frozen=True, eq=False)
class TaskEntry(Entry):
    """A task; `registry.task` says what its fields mean."""

    kind: ClassVar[Kind] = "task"

    function: Callable[..., Problem]
    suite: str
    metrics: tuple[Metric, ...]
    backbones: tuple[str, ...]
    splits: tuple[str, ...] = ("validation", "test")
    source: str = ""
    about: Callable[[Mapping[str, OptionValue]], About] | None = None
    axes: Mapping[str, Axes] = field(default_factory=dict)
    sentences: tuple[Sentence, ...] = ()
    refuse: Refuse = accepts

    def describe(self, options: Mapping[str, OptionValue]) -> Description:
        """What the task says of itself with these options, defaults among them."""
        return Description(self.about(options) if self.about else None, self.axes, self.sentences)


@dataclass(frozen=True, eq=False)
class BackboneEntry(Entry):
    """A network."""

    kind: ClassVar[Kind] = "backbone"

    function: Callable[..., nn.Module]
    source: str = ""
    refuse: Refuse = accepts


@dataclass(frozen=True, eq=False)
class ReferenceEntry(Entry):
    """A solver of tasks that uses no variant."""

    kind: ClassVar[Kind] = "reference"

    function: Callable[[Problem], Models]
    tasks: tuple[str, ...]
    bound: ReferenceKind
    when: Callable[[Mapping[str, OptionValue]], bool] | None = None

    def stands_for(self, task: Selected[TaskEntry]) -> bool:
        """Whether it solves a task with these options."""
        return task.entry.name in self.tasks and (self.when is None or self.when(task.all_options))


E = TypeVar("E", bound=Entry, covariant=True)


@dataclass(frozen=True)
class Selected(Generic[E]):
    """An entry with its options: what a selector such as `unet[depth=3]` names."""

    entry: E
    options: Mapping[str, OptionValue]

    @property
    def selector(self) -> Selector:
        """The canonical selector."""
        return self.entry.selector(self.options)

    @property
    def label(self) -> str:
        """The canonical selector as text."""
        return str(self.selector)

    @property
    def all_options(self) -> dict[str, OptionValue]:
        """The options with their defaults."""
        return {option.name: option.default for option in self.entry.options} | dict(self.options)


@dataclass(frozen=True)
class Layer(LayerFactory):
    """A variant with its options, as a LayerFactory that checks its arguments."""

    selected: Selected[VariantEntry]

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
        module = self.selected.entry.function(
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
        dims = self.selected.entry.dims
        if len(size) not in dims or any(not isinstance(n, int) or n < 1 for n in size):
            shapes = " or ".join(f"{d}-D" for d in dims)
            raise ValueError(
                f"{self.label}: size={size!r} must be {shapes}, positive integers, such as {(8,) * dims[-1]}"
            )


def _summary(function: Callable[..., object]) -> str:
    """The first line of what a definition says of itself, or else of what its file says: never of what it inherits."""
    written = vars(function).get("__doc__") if inspect.isclass(function) else function.__doc__
    module = sys.modules.get(function.__module__)
    return _first_line(written or (module.__doc__ if module else ""))


def _first_line(text: str | None) -> str:
    return inspect.cleandoc(text or "").partition("\n")[0]
