"""A torchvision teacher into a student of one's own, in one's own loop."""

import torch
from torch import nn

import edgekd
from edgekd.data import open_layout

data = open_layout("streetscape", "train", size=(96, 128), count=16)  # drawn streets; any arrays do
student = nn.Sequential(nn.Conv2d(3, 16, 3, 4, 1), nn.ReLU(), nn.Conv2d(16, 9, 1))
teacher = "torchvision.models.segmentation:lraspp_mobilenet_v3_large"
untrained = {"options": {"weights_backbone": None}}  # of yours: {"weights": "teacher.safetensors"}

kd = edgekd.distiller(student, teacher, "cwd", num_classes=9, teacher_options=untrained)
optimizer = torch.optim.AdamW(kd.parameters(), 1e-3)
for step in range(10):
    samples = [data.read((4 * step + index) % len(data)) for index in range(4)]
    images = torch.stack([torch.from_numpy(sample.image).permute(2, 0, 1) for sample in samples])  # RGB 0–255
    labels = torch.stack([torch.from_numpy(sample.label).long() for sample in samples])  # 255 = ignore
    parts = kd(images, labels, step / 10)
    loss = sum(parts.values())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, {name: round(value.item(), 3) for name, value in parts.items()})
