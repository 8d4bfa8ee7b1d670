"""DystrophyDx: how likely a dystrophinopathy is in a thigh MRI, and where in the image that answer comes from.

For research only, not for diagnosis. Importing this package loads neither torch nor Slicer.
"""

__version__ = "0.1.0"
