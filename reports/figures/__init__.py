"""Figures as matplotlib draws them, and pictures of samples."""
