"""The result as DICOM objects in the patient's study; nothing of it is imported unless somebody asks for it."""
