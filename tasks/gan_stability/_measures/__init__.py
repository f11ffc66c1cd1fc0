"""What is measured of a generator's images, without pretrained weights."""
