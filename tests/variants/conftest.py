"""One thread: on images of a few pixels a second one only waits."""

import torch

torch.set_num_threads(1)
