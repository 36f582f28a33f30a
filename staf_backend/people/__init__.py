"""Who is in a video and where: detection, following from frame to frame, joining the pieces."""
