"""MRML: nodes of a Slicer scene ↔ series, leg regions and heatmaps. The only folder that imports `slicer`.

The same code runs in the Slicer desktop and, through the `slicer-core` package, without it. Importing this package
imports nothing of Slicer; its modules do.
"""
