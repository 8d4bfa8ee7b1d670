"""Reading: DICOM and image files become `Series` of voxels, geometry and facts of the acquisition."""
