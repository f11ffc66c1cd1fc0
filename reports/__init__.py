"""Tables, figures and pages made from stored records; imports no torch."""
