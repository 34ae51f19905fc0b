"""Weather: the light of a scene and the colours of its sky."""

import numpy as np

from edgekd.data.streetscape.types import Floats, Light

_LIGHTS = {  # sun, sky, horizon, zenith, elevation in degrees
    "day": ((0.62, 0.58, 0.5), (0.52, 0.56, 0.62), (0.74, 0.8, 0.86), (0.28, 0.46, 0.76), (32, 68)),
    "overcast": ((0.12, 0.12, 0.12), (0.78, 0.8, 0.82), (0.78, 0.8, 0.81), (0.6, 0.64, 0.68), (86, 90)),
    "golden": ((0.92, 0.62, 0.32), (0.4, 0.4, 0.48), (0.88, 0.74, 0.6), (0.42, 0.5, 0.66), (14, 30)),
    "dusk": ((0.04, 0.04, 0.06), (0.42, 0.42, 0.52), (0.54, 0.48, 0.54), (0.17, 0.2, 0.36), (86, 90)),
}
_SKIES = ("day", "day", "day", "overcast", "overcast", "golden", "dusk")


def weather(rng: np.random.Generator) -> tuple[Light, bool, Floats]:
    """Draw some weather: the light, whether lamps are lit, and the paints of the sky."""
    name = _SKIES[int(rng.integers(len(_SKIES)))]
    sun, sky, horizon, zenith, elevations = _LIGHTS[name]
    tilt, turn = np.radians(rng.uniform(*elevations)), rng.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(tilt) * np.cos(turn), np.sin(tilt), np.cos(tilt) * np.sin(turn)], np.float32)
    tint = rng.uniform(0.85, 1.15) * rng.uniform(0.92, 1.08, 3)
    colours = [np.asarray(colour * tint, np.float32) for colour in (sun, sky, horizon)]
    haze, shadow = np.exp(rng.uniform(np.log(70), np.log(700))), rng.uniform(0.8, 1.1) * (0.5 if elevations[0] < 80 else 0.32)
    clouds = np.array([zenith, np.multiply(horizon, rng.uniform(0.9, 1.15)), zenith, zenith, zenith], np.float32)
    dusk = name == "dusk"
    return Light(towards, colours[0], colours[1], colours[2], float(haze), float(shadow), 1.15 if dusk else 0.0), dusk, clouds
