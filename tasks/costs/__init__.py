"""Tasks whose only purpose is their shape."""
