"""Where the time and the memory of a training step go: operators, places in the source, limits of the machine."""
