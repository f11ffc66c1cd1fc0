"""Deblurring: images and signals behind an optic whose blur changes over the field."""
