"""What the layers are asked to do: one package per suite, one task per file."""
