"""The network of muscle maps is MONAI's U-Net."""

import pytest
import torch

from DystrophyDxLib.models.map_network import MapNetwork, UNet

FEATURES = (4, 6, 8, 10, 12, 4)


@pytest.mark.parametrize("edge", [32, 56])
def test_the_unet_is_monais(edge):
    from monai.networks.nets import BasicUNet

    torch.manual_seed(1)
    act = ("LeakyReLU", {"negative_slope": 0.1, "inplace": True})
    theirs = BasicUNet(2, 3, 5, FEATURES, norm=("instance", {"affine": True}), act=act).eval()
    own = UNet(3, 5, FEATURES).eval()
    own.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, edge, edge)
    with torch.inference_mode():
        torch.testing.assert_close(own(images), theirs(images))


def test_each_pixel_gets_its_own_labels():
    network = MapNetwork(1, 16, FEATURES).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 64, 64)).shape == (2, 16, 64, 64)
