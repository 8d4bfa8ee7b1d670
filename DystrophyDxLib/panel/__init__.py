"""What the panel in Slicer decides and says, without Qt."""
