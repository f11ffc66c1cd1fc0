"""What a gate gives to a pull request: Markdown, a comment edited in place, JUnit XML, a badge."""
