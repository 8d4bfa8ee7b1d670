"""What of the panel is kept in the scene."""

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class ParameterNode:
    """What the panel shows of a scene; all else lies in the nodes of the classification.

    inputVolume: the thigh MRI whose classification is shown.
    muscles: segments of muscles, for the share of each under the heat.
    autoReclassify: whether an edit of the region is classified by itself.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    muscles: vtkMRMLSegmentationNode
    autoReclassify: bool = False
