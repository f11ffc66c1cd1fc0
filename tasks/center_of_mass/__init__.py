"""Center of mass: the mean position of points of any density."""
