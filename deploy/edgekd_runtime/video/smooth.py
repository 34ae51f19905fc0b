"""Votes over time, so that single-frame flicker does not show."""

import numpy as np
from numpy.typing import NDArray

_LARGEST = 1e18


class Smoother:
    """Exponential votes on class maps, one vote a pixel and frame.

    With ``v_t(c, p) = a·v_{t−1}(c, p) + [y_t(p) = c]`` the class shown at pixel p is ``argmax_c v_t(c, p)``, where y_t is the network's
    class map and a the memory; on a tie the class shown before stays. After a long past of one class a pixel changes when another
    came up ``log(1/2)/log(a)`` frames running, rounded up: 4 for a = 0.8. Motion is not followed, so edges trail by as much.

    Instead of shrinking all old votes the new ones weigh ``a^−t``, which orders the classes alike and touches one value a pixel;
    the only class that can take the lead is then the one just voted for.

    Args:
        classes: Number of classes.
        memory: a, above 0.5 and below 1: up to one half the newest vote would outweigh all others together.
    """

    def __init__(self, classes: int, memory: float) -> None:
        self._classes, self._memory, self._weight = classes, memory, 1.0
        self._votes = np.zeros(0, np.float32)

    def __call__(self, class_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The next class map, uint8 H×W of one size throughout → the smoothed one."""
        if not self._votes.size:
            self._votes = np.zeros(class_map.size * self._classes, np.float32)
            self._first = np.arange(class_map.size) * self._classes
            self._leader = class_map.ravel().copy()
            self._lead = np.zeros(class_map.size, np.float32)
        newest = class_map.ravel()
        index = self._first + newest
        votes = self._votes[index] + np.float32(self._weight)
        self._votes[index] = votes
        taken = (votes > self._lead) | (newest == self._leader)
        np.copyto(self._leader, newest, where=taken)
        np.copyto(self._lead, votes, where=taken)
        self._weight /= self._memory
        if self._weight > _LARGEST:  # before float32 runs out
            self._votes /= self._weight
            self._lead /= self._weight
            self._weight = 1.0
        return self._leader.reshape(class_map.shape).copy()
