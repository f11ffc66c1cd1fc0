"""A preset becomes a list of trials; nothing is run here."""
