"""What layers share: the convolution, the coordinates, hand-written passes, and the words of their textbook forms."""
