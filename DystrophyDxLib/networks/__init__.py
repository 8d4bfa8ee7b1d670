"""Networks that give class scores and class activation maps in one forward pass."""

from .cam_network import BACKBONES, CamNetwork, NetworkOutput, build_network

__all__ = ["BACKBONES", "CamNetwork", "NetworkOutput", "build_network"]
