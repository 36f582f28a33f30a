"""Video as upright RGB frames with their times, from a movie file or a folder of images."""
