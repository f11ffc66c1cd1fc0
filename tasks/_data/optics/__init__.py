"""How light is spread and counted: blurs, pupils, noise."""
