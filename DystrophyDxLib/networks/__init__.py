"""Networks that give class scores and class activation maps in one forward pass."""

from .backbones import BACKBONES
from .cam_network import CamNetwork, GradCamNetwork, NetworkOutput, build_network, trainable_parameters
from .weights import load_backbone

__all__ = [
    "BACKBONES",
    "CamNetwork",
    "GradCamNetwork",
    "NetworkOutput",
    "build_network",
    "load_backbone",
    "trainable_parameters",
]
