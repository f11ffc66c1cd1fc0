"""NVML refuses in many ways; each is a missing value with its reason."""

from __future__ import annotations

import itertools
import os
from types import SimpleNamespace

import pynvml
import pytest
import torch

from coordbench.harness.core.cell import Cell
from coordbench.harness.measure import nvml
from coordbench.harness.measure.quantities import energy

GIB = 1 << 30


class Fake:
    """A library with one GPU; `refuses` maps the name of a query to the error code that it raises."""

    NVMLError = pynvml.NVMLError
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, pids=(), slowdown=0, refuses=None):
        self.refuses = refuses or {}
        self.joules = itertools.count(0, 7000)
        self.answers = {
            "nvmlInit": lambda: None,
            "nvmlDeviceGetHandleByUUID": self.handle,
            "nvmlDeviceGetTotalEnergyConsumption": lambda gpu: next(self.joules),
            "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(used=3 * GIB, total=80 * GIB),
            "nvmlDeviceGetClockInfo": lambda gpu, kind: 1980,
            "nvmlDeviceGetTemperature": lambda gpu, kind: 41,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda gpu: slowdown,
            "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [SimpleNamespace(pid=pid) for pid in pids],
        }

    def __getattr__(self, name):
        def query(*arguments):
            if name in self.refuses:
                raise pynvml.NVMLError(self.refuses[name])
            return self.answers[name](*arguments)

        return query

    def handle(self, uuid):
        if uuid != self.known:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "handle"

    known = "GPU-1234"


def gpu(**options):
    return nvml.open_gpu("cuda:0", Fake(**options), uuid="1234")


def test_a_willing_gpu_answers():
    device = gpu(pids=[os.getpid(), 4, 5], slowdown=0x4 | 0x40)
    assert device.memory() == nvml.Reading(3 * GIB)
    assert device.energy().value == 0.0
    assert device.energy().value == pytest.approx(7.0)
    assert device.state() == {
        "clock_mhz": 1980,
        "temperature": 41,
        "slowdowns": ["power cap", "hardware thermal slowdown"],
        "other_processes": 2,
    }


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "nvmlInit: NVML Shared Library Not Found"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "nvmlInit: Driver Not Loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "nvmlInit: RM has detected an NVML/RM version mismatch."),
    ],
)
def test_without_a_driver_every_reading_gives_the_reason(code, says):
    device = gpu(refuses={"nvmlInit": code})
    for reading in (device.energy(), device.memory(), device.clock(), device.slowdowns(), device.other_processes()):
        assert reading.value is None
        assert says.lower() in reading.reason.lower()
    assert set(device.state().values()) == {device.energy().reason}


@pytest.mark.parametrize(
    ("query", "code", "ask"),
    [
        ("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_ERROR_NOT_SUPPORTED, nvml.Gpu.energy),
        ("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_ERROR_NO_PERMISSION, nvml.Gpu.energy),
        ("nvmlDeviceGetMemoryInfo", pynvml.NVML_ERROR_NO_PERMISSION, nvml.Gpu.memory),
        ("nvmlDeviceGetClockInfo", pynvml.NVML_ERROR_NO_PERMISSION, nvml.Gpu.clock),
        ("nvmlDeviceGetComputeRunningProcesses", pynvml.NVML_ERROR_NO_PERMISSION, nvml.Gpu.other_processes),
        ("nvmlDeviceGetCurrentClocksEventReasons", pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, nvml.Gpu.slowdowns),
        ("nvmlDeviceGetMemoryInfo", pynvml.NVML_ERROR_GPU_IS_LOST, nvml.Gpu.memory),
    ],
)
def test_one_refusal_leaves_the_other_readings(query, code, ask):
    device = gpu(refuses={query: code})
    assert ask(device).value is None
    assert ask(device).reason.startswith(query)
    assert device.temperature().value == 41


def test_a_slice_of_a_gpu_is_found_by_its_own_name(monkeypatch):
    monkeypatch.setattr(Fake, "known", "MIG-1234")
    assert gpu().memory().value == 3 * GIB
    monkeypatch.setattr(Fake, "known", "GPU-other")
    assert "nvmlDeviceGetHandleByUUID: Not Found" in gpu().memory().reason


@pytest.mark.parametrize(
    ("pids", "others"),
    [([], 0), ([os.getpid()], 0), ([os.getpid(), 1], 1), ([7, 8, 9], 2)],
)
def test_other_processes_are_counted(pids, others):
    assert gpu(pids=pids).other_processes().value == others


def test_in_a_container_a_single_foreign_number_may_be_our_own():
    reading = gpu(pids=[1 << 30]).other_processes()
    assert reading.value is None
    assert "container" in reading.reason


def test_energy_is_the_growth_of_the_counter_over_the_calls():
    seconds = itertools.count()
    calls = []
    reading = energy.joules_per_call(lambda: calls.append(1), gpu(), 5.0, lambda: next(seconds))
    assert len(calls) == 4  # the clock moves a second per look, and the fifth look ends the window
    assert reading.value == pytest.approx(7.0 / 4)


def test_energy_without_a_counter_is_missing_and_says_why():
    seconds = itertools.count()
    device = gpu(refuses={"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NOT_SUPPORTED})
    reading = energy.joules_per_call(lambda: None, device, 5.0, lambda: next(seconds))
    assert reading == nvml.Reading(None, "nvmlDeviceGetTotalEnergyConsumption: Not Supported")


@pytest.mark.parametrize(
    ("device", "seconds", "says"),
    [("cpu", 9.0, "device cpu has no energy counter"), ("cuda", 0.3, "a window of 0.3 s is too short")],
)
def test_where_energy_cannot_be_had_the_job_is_not_even_built(device, seconds, says):
    details = energy.measure_energy(Cell.of("no_such_task", "a", "b", device=device), seconds).details
    assert details["joules_per_sample_step"] is None
    assert says in details["reason"]


def test_energy_of_a_sample_is_that_of_a_call_over_the_batch(monkeypatch):
    waits, calls = [], []
    readings = iter([nvml.Reading(8.0), nvml.Reading(None, "the counter is gone")])

    def per_call(step, gpu, seconds):
        step()
        return next(readings)

    subject = SimpleNamespace(batch_size=4, phase=lambda name: lambda: calls.append(name))
    monkeypatch.setattr(energy, "build_subject", lambda cell: subject)
    monkeypatch.setattr(energy, "open_gpu", lambda device: gpu())
    monkeypatch.setattr(energy, "joules_per_call", per_call)
    monkeypatch.setattr(energy.torch.cuda, "synchronize", lambda: waits.append(calls[-1]))
    details = energy.measure_energy(Cell.of("copy", "stack", "conv", device="cuda"), 6.0).details
    assert details == {
        "joules_per_sample_forward": 2.0,
        "joules_per_sample_step": None,
        "window_seconds": 6.0,
        "reason": "the counter is gone",
    }
    assert waits == calls == ["forward", "step"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_gpu_tells_its_memory_or_why_not():
    reading = nvml.open_gpu("cuda").memory()
    assert reading.value or reading.reason
