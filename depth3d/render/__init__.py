"""Pictures that the camera did not take: other apertures and focus, other points of view."""
