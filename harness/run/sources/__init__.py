"""What the code of a trial depends on: definitions in files, and packages."""
