"""Makes the sample study that ships with the extension.

Run as `python Tools/sample_study.py --out FOLDER`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from DystrophyDxLib.phantom import make_phantom, write_dicom

SEED = 108
SLICES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the DICOM files")
    options = parser.parse_args()
    phantom = make_phantom(SEED, "DMD", slices=SLICES, legs="both")
    files = write_dicom(phantom, options.out)
    print(f"{len(files)} slices, mean fat fraction of the muscles {phantom.severity:.2f}")


if __name__ == "__main__":
    main()
