"""One file per quantity: each measures a job by a function `measure_QUANTITY(job, seconds) -> Part`."""
