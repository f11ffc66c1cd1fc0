"""Translation: what networks know about the place of what they see, and where they fail to move with it."""
