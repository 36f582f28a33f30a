"""Files on disk: writing them whole or not at all, and telling what a stranger's file is."""

from staf_backend.files.atomic import (
    OutputError,
    keep_before,
    make_folder,
    put_in_place,
    replace_atomically,
    replace_folder_atomically,
)
from staf_backend.files.checksum import content_digest, sha256
from staf_backend.files.edited_json import EditedJson
from staf_backend.files.identify import describe_arrays, describe_file, is_pickle
from staf_backend.files.json_place import Place
from staf_backend.files.limits import Budget, TooLargeError, shown, shown_message
from staf_backend.files.npz import write_arrays
from staf_backend.files.read_arrays import ArchiveError, PickledError, read_arrays
from staf_backend.files.regular import open_file, real_path
from staf_backend.files.scratch import (
    STRETCH,
    file_without_name,
    give_back_pages,
    long_array,
    long_copy,
    scratch_in,
    stretches,
)
from staf_backend.files.strict_json import check_values, read_json_file, read_json_text

__all__ = [
    "STRETCH",
    "ArchiveError",
    "Budget",
    "EditedJson",
    "OutputError",
    "PickledError",
    "Place",
    "TooLargeError",
    "check_values",
    "content_digest",
    "describe_arrays",
    "describe_file",
    "file_without_name",
    "give_back_pages",
    "is_pickle",
    "keep_before",
    "long_array",
    "long_copy",
    "make_folder",
    "open_file",
    "put_in_place",
    "read_arrays",
    "read_json_file",
    "read_json_text",
    "real_path",
    "replace_atomically",
    "replace_folder_atomically",
    "scratch_in",
    "sha256",
    "shown",
    "shown_message",
    "stretches",
    "write_arrays",
]
