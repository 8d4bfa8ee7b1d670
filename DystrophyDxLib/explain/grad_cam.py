"""Grad-CAM: class activation maps where the head is not one linear layer.

Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017,
equations (1) and (2): the last convolution's maps, each weighted by the mean over its cells of the gradient of a
class's score. The ReLU of equation (2) is left to who shows the map, so that evidence against a class is kept.
"""

from __future__ import annotations

import torch
from torch import nn


def grad_cam(head: nn.Module, activations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and maps of every class. A gradient goes back through the head alone, also within
    `torch.inference_mode`; none goes on to the activations' own past.

    Args:
        head: maps activations to logits (N, K); in evaluation mode, since dropout would draw a map at random.
        activations: (N, C, h, w) of the last convolution.

    Returns:
        (N, K) logits and (N, K, h, w) float32 maps.
    """
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(activations.device.type, enabled=False):
        seen = activations.detach().float().clone().requires_grad_()
        logits = head(seen)
        gradients = (
            torch.autograd.grad(of_class.sum(), seen, retain_graph=True)[0] for of_class in logits.unbind(dim=1)
        )
        maps = [(gradient.mean(dim=(2, 3), keepdim=True) * seen).sum(dim=1) for gradient in gradients]
        return logits.detach(), torch.stack(maps, dim=1).detach()
