"""Images, glyphs and simulators that several tasks share."""
