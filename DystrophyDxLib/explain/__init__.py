"""From class activation maps to a heatmap on the patient's voxels."""
