"""Commands about two revisions measured in one job."""
