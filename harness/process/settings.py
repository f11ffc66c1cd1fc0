"""How a worker is set up: one description that configures it, and that its records' identity holds.

The standard library alone is imported here, so that what runs outside of this project can take the file as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

NUMERIC_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "LD_PRELOAD",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""What a user may have set that changes the last bits of a result, or the allocator."""


@dataclass(frozen=True)
class Settings:
    """Threads, denormals, determinism and allocator of a worker."""

    threads: int = 1
    wait_policy: Literal["passive", "active"] = "passive"
    flush_denormals: bool = True
    """A softmax over 4096 places otherwise trains 2.5 times slower, on denormals."""
    deterministic: Literal["default", "warn", "error"] = "warn"
    fill_uninitialized: bool = False
    """Torch's default with determinism; it would write every new tensor twice."""
    cudnn_benchmark: bool = False
    cublas_workspace: str = ":4096:8"
    mmap_threshold_bytes: int = 1 << 30
    """glibc otherwise gives freed pages back after each step, and faults them in again at the next."""
    trim_threshold_bytes: int = 1 << 31
    top_pad_bytes: int = 1 << 28

    def variables(self) -> dict[str, str]:
        """The environment of a worker; it must stand before the process starts: glibc and OpenMP read it only then."""
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {
            **dict.fromkeys(threads, str(self.threads)),
            "OMP_WAIT_POLICY": self.wait_policy,
            "MALLOC_MMAP_THRESHOLD_": str(self.mmap_threshold_bytes),
            "MALLOC_TRIM_THRESHOLD_": str(self.trim_threshold_bytes),
            "MALLOC_TOP_PAD_": str(self.top_pad_bytes),
            "CUBLAS_WORKSPACE_CONFIG": self.cublas_workspace,
        }

    def apply(self) -> None:
        """Set up torch in the process that calls this."""
        import torch

        torch.set_num_threads(self.threads)
        torch.set_flush_denormal(self.flush_denormals)
        # as use_deterministic_algorithms, which takes a second to import
        torch.set_deterministic_debug_mode(self.deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = self.fill_uninitialized  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = self.cudnn_benchmark

    def parts(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Each setting by its name, as a part of an identity, with what the user's environment sets beside them."""
        chosen = {f"setting {name}": str(value) for name, value in asdict(self).items()}
        return chosen | {f"setting {name}": environment[name] for name in NUMERIC_VARIABLES if name in environment}


WORKER = Settings()
"""How every worker is set up."""
