"""Where the motion stands: up, the ground, what touches it, and feet that stay where they stand."""

from staf_backend.world.camera_path import CameraFollower
from staf_backend.world.card import contact_rows, key_series, quality_card, with_card
from staf_backend.world.contacts_file import (
    ContactsError,
    check_contacts,
    read_contacts,
    write_contacts,
)
from staf_backend.world.grounding import stand
from staf_backend.world.settings import WorldSettings
from staf_backend.world.travel import travelled
from staf_backend.world.walk_lens import corrected_lens

__all__ = [
    "CameraFollower",
    "ContactsError",
    "WorldSettings",
    "check_contacts",
    "contact_rows",
    "corrected_lens",
    "key_series",
    "quality_card",
    "read_contacts",
    "stand",
    "travelled",
    "with_card",
    "write_contacts",
]
