"""The page of a profile: one offline file, with nothing to fetch."""
