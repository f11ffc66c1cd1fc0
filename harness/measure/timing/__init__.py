"""How durations are taken: clocks, pairs that take turns, and what disturbs them."""
