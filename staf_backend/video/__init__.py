"""Video as upright RGB frames with their times, from a movie file or a folder of images."""

from staf_backend.video.clock import Origin
from staf_backend.video.container import ffmpeg_name, open_container, video_stream, whole_packets
from staf_backend.video.error import VideoError
from staf_backend.video.lens import Focal, focal_of_lens
from staf_backend.video.picture import KeptPicture, Picture, ReadyPicture
from staf_backend.video.picture_file import read_picture
from staf_backend.video.video import Video, check_path, open_video

__all__ = [
    "Focal",
    "KeptPicture",
    "Origin",
    "Picture",
    "ReadyPicture",
    "Video",
    "VideoError",
    "check_path",
    "ffmpeg_name",
    "focal_of_lens",
    "open_container",
    "open_video",
    "read_picture",
    "video_stream",
    "whole_packets",
]
