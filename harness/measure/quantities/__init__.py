"""One file per quantity: each measures a cell by a function `measure_QUANTITY(cell, seconds) -> Part`."""
