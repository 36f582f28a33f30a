"""The error of a video that cannot be used; movies and folders of pictures both raise it."""

from staf_backend import StafError


class VideoError(StafError):
    """The input video is missing, is no video, is damaged, or lacks the asked-for time."""

    kind = "video"
    exit_code = 3
