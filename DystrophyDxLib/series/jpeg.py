"""JPEG of DICOM images (baseline, extended and lossless), decoded by libjpeg-turbo, as a plugin of pydicom's decoders.

imagecodecs brings libjpeg-turbo with 8, 12 and 16 bits. It is chosen over GDCM, which damaged images crash or hang, and
over pylibjpeg-libjpeg, which is GPL-3 and reads less.
"""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydicom.pixels import get_decoder
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import DecodeRunner

SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
PLUGIN = "dystrophydx"
"""By which pydicom knows the decoder."""
_PACKAGE = "imagecodecs"
DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, (_PACKAGE,))
"""What pydicom names where it is missing."""


def is_available(uid: str) -> bool:
    """Whether images of a transfer syntax can be decoded, as pydicom asks."""
    return uid in SYNTAXES and find_spec(_PACKAGE) is not None


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """The pixels of a frame, as many bits each as its header allocates, little endian.

    Raises:
        ValueError: the frame has other rows, columns or colours than its header says.
        imagecodecs.Jpeg8Error: it is damaged.
    """
    from imagecodecs import jpeg8_decode

    pixels = jpeg8_decode(frame)
    if pixels.shape != (runner.rows, runner.columns):
        raise ValueError("The JPEG is of another size than its header says.")
    return pixels.astype(f"<u{runner.bits_allocated // 8}").tobytes()


for _decoder in map(get_decoder, SYNTAXES):
    with contextlib.suppress(ValueError):  # it is there from an earlier import
        _decoder.remove_plugin(PLUGIN)
    _decoder.add_plugin(PLUGIN, (__name__, decode_frame.__name__))
