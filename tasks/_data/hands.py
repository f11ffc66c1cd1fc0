"""Hands of a palm and five capsules, drawn from known factors: which fingers are stretched, and the pose.

    a hand of two:   \\|        each finger is a capsule from the palm's rim, long when stretched, a stub when folded;
                    (__)_      pose = place, rotation, scale, left or right

A stand-in for the photographs of hands in Hosseini, Hosseini, "GeoPos", arXiv 2401.01951, whose data were not at hand.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

SCENE, FINGERS = 64, 5
MODES = 6 * 2**4
"""Kinds of hands: the number of fingers, left or right, turned left or right, and in which quarter of the places."""
CENTER = (32.0, 40.0)
ROTATION, MOVE, SCALES = 0.35, 4.0, (0.85, 1.1)
_PALM, _RADIUS, _STUB = 11.0, 3.0, 3.0
_ANGLES = (-65.0, -26.0, -4.0, 17.0, 38.0)
"""Of thumb to little finger, from straight up [degrees]."""
_LENGTHS = (14.0, 18.0, 20.0, 18.0, 14.0)


@dataclass(frozen=True)
class Hands:
    """Factors of N hands: `stretched` (N, 5) in 0..1, `mirrored` -1 or 1, `rotation` [rad], `center` [px of 64]."""

    stretched: Tensor
    mirrored: Tensor
    rotation: Tensor
    scale: Tensor
    center: Tensor

    def __getitem__(self, indices: Tensor) -> Hands:
        """Some of the hands."""
        return Hands(*(factor[indices] for factor in vars(self).values()))

    @property
    def count(self) -> Tensor:
        """How many fingers are stretched, (N,)."""
        return (self.stretched > 0.5).sum(1)

    @property
    def mode(self) -> Tensor:
        """Which of the `MODES` kinds of hand each is, (N,)."""
        turned, (right, low) = self.rotation > 0, (self.center > torch.tensor(CENTER)).unbind(1)
        return functools.reduce(lambda mode, half: 2 * mode + half, (self.mirrored > 0, turned, right, low), self.count)

    def vectors(self) -> Tensor:
        """The factors as numbers in about -1..1: (N, 10)."""
        pose = [self.mirrored, self.rotation / ROTATION, (self.scale - 1) * 8]
        return torch.cat([2 * self.stretched - 1, torch.stack(pose, 1), (self.center - torch.tensor(CENTER)) / MOVE], 1)

    @staticmethod
    def of_vectors(v: Tensor) -> Hands:
        """The hands nearest to any vectors (N, 10): fingers are stretched or not, hands left or right."""
        stretched, pose, place = v[:, :FINGERS] > 0, v[:, FINGERS:-2], v[:, -2:]
        rotation, scale = pose[:, 1] * ROTATION, (1 + pose[:, 2] / 8).clamp(*SCALES)
        return Hands(stretched.float(), pose[:, 0].sign(), rotation, scale, place * MOVE + torch.tensor(CENTER))


def hands(count: int, generator: torch.Generator) -> Hands:
    """Draw hands: each number of fingers from 0 to 5 alike, then which ones, then the pose."""
    ranks = torch.rand(count, FINGERS, generator=generator).argsort(1).argsort(1)
    stretched = ranks < torch.randint(FINGERS + 1, (count, 1), generator=generator)
    u = 2 * torch.rand(count, 5, generator=generator) - 1
    scale = (SCALES[0] + SCALES[1]) / 2 + u[:, 2] * (SCALES[1] - SCALES[0]) / 2
    mirrored, center = torch.where(u[:, 0] < 0, -1.0, 1.0), torch.tensor(CENTER) + u[:, 3:] * MOVE
    return Hands(stretched.float(), mirrored, u[:, 1] * ROTATION, scale, center)


def draw(what: Hands, canvas: int) -> Tensor:
    """Draw hands as gray images (N, 1, canvas, canvas), -1 black to 1 white, edges one pixel soft."""
    axis = (torch.arange(canvas) + 0.5) * (SCENE / canvas)
    down, across = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([across, down], -1).flatten(0, 1)[None] - what.center[:, None]
    outside = points.norm(dim=2) - _PALM * what.scale[:, None]
    for finger in range(FINGERS):
        angle = what.rotation + what.mirrored * math.radians(_ANGLES[finger])
        direction = torch.stack([angle.sin(), -angle.cos()], 1)
        length = what.scale * (_STUB + what.stretched[:, finger] * (_LENGTHS[finger] - _STUB))
        base = direction * (_PALM * 0.9 * what.scale)[:, None]
        outside = torch.minimum(outside, _capsule(points - base[:, None], direction, length, what.scale))
    ink: Tensor = (0.5 - outside * (canvas / SCENE)).clamp(0, 1)
    return (2 * ink - 1).view(-1, 1, canvas, canvas)


def _capsule(points: Tensor, direction: Tensor, length: Tensor, scale: Tensor) -> Tensor:
    """The distance of points (N, P, 2) to a finger that starts at the origin: (N, P), negative inside."""
    along = (points @ direction[:, :, None])[..., 0]
    along = torch.minimum(along.clamp_min(0), length[:, None])
    distance: Tensor = (points - along[..., None] * direction[:, None]).norm(dim=2)
    return distance - _RADIUS * scale[:, None]
