"""What NVIDIA's management library tells of a GPU; what it refuses is a missing value with its reason.

It refuses often: no driver, a container that hides processes, a MIG slice or a user without permission, a board too
old for a counter. A measurement goes on without.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pynvml
import torch

Value = TypeVar("Value")
Other = TypeVar("Other")

_SLOWDOWNS = {
    "power cap": 0x4,
    "hardware slowdown": 0x8,
    "software thermal slowdown": 0x20,
    "hardware thermal slowdown": 0x40,
    "power brake": 0x80,
}


@dataclass(frozen=True)
class Reading(Generic[Value]):
    """A value, or None and why there is none."""

    value: Value | None = None
    reason: str = ""

    def then(self, function: Callable[[Value], Other]) -> Reading[Other]:
        """Apply a function to the value, if there is one."""
        return Reading(None, self.reason) if self.value is None else Reading(function(self.value))


class Gpu:
    """A GPU by its handle in `library`, or the reason why there is none; every query then answers with that reason."""

    def __init__(self, handle: Reading[Any], library: object = pynvml) -> None:
        self.handle, self.library = handle, library

    def energy(self) -> Reading[float]:
        """Energy since the driver was loaded [J]; boards before Volta do not count it."""
        return self._ask("nvmlDeviceGetTotalEnergyConsumption").then(lambda millijoules: float(millijoules) * 1e-3)

    def memory(self) -> Reading[int]:
        """Memory in use by all processes, contexts included [bytes]."""
        return self._ask("nvmlDeviceGetMemoryInfo").then(lambda info: int(info.used))

    def clock(self) -> Reading[int]:
        """Frequency of the multiprocessors [MHz]."""
        return self._ask("nvmlDeviceGetClockInfo", getattr(self.library, "NVML_CLOCK_SM", None))

    def temperature(self) -> Reading[int]:
        """Temperature of the chip [degrees Celsius]."""
        return self._ask("nvmlDeviceGetTemperature", getattr(self.library, "NVML_TEMPERATURE_GPU", None))

    def slowdowns(self) -> Reading[list[str]]:
        """Names of the reasons why the clocks are held down at this moment."""
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        return bits.then(lambda mask: [name for name, bit in _SLOWDOWNS.items() if mask & bit])

    def other_processes(self) -> Reading[int]:
        """How many other processes compute on this GPU.

        A container lists the numbers that processes have outside of it; one of several is then still ours, but a
        single one may be ours or not.
        """
        listed = self._ask("nvmlDeviceGetComputeRunningProcesses")
        if listed.value is None:
            return Reading(None, listed.reason)
        numbers = {process.pid for process in listed.value}
        if len(numbers) == 1 and os.getpid() not in numbers:
            return Reading(None, "the process list holds numbers from outside of this container")
        return Reading(max(len(numbers) - 1, 0))

    def state(self) -> dict[str, object]:
        """Clock, temperature, slowdowns and other processes, each a value or its reason."""
        readings: dict[str, Reading[Any]] = {
            "clock_mhz": self.clock(),
            "temperature": self.temperature(),
            "slowdowns": self.slowdowns(),
            "other_processes": self.other_processes(),
        }
        return {name: r.reason if r.value is None else r.value for name, r in readings.items()}

    def _ask(self, query: str, *arguments: object) -> Reading[Any]:
        if self.handle.value is None:
            return self.handle
        return _try(self.library, query, self.handle.value, *arguments)


def open_gpu(device: str, library: object = pynvml, uuid: str | None = None) -> Gpu:
    """Find a torch device such as `cuda:0` in NVML by its UUID, whatever CUDA_VISIBLE_DEVICES renumbers."""
    started = _try(library, "nvmlInit")
    if started.reason:
        return Gpu(started, library)
    name = uuid if uuid is not None else str(torch.cuda.get_device_properties(device).uuid)
    handle = _try(library, "nvmlDeviceGetHandleByUUID", f"GPU-{name}")
    return Gpu(handle if not handle.reason else _try(library, "nvmlDeviceGetHandleByUUID", f"MIG-{name}"), library)


def _try(library: object, query: str, *arguments: object) -> Reading[Any]:
    try:
        return Reading(getattr(library, query)(*arguments))
    except pynvml.NVMLError as error:
        return Reading(None, f"{query}: {error}")
