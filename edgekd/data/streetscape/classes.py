"""What a pixel of a street scene can be: the classes with their colours, and their numbers by name."""

from edgekd_runtime.classes import ClassSet

CLASSES = ClassSet(
    names=("sky", "building", "road", "pavement", "vegetation", "car", "pedestrian", "pole", "sign"),
    palette=(
        *((70, 130, 180), (90, 84, 96), (128, 64, 128), (244, 35, 232), (107, 142, 35)),
        *((0, 0, 190), (220, 20, 60), (190, 153, 153), (250, 200, 0)),
    ),
)
SKY, BUILDING, ROAD, PAVEMENT, VEGETATION, CAR, PEDESTRIAN, POLE, SIGN = range(9)
