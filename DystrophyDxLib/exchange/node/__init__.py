"""A DICOM node: takes studies by C-STORE, classifies them, and sends the objects of each answer back, once."""
