# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: the actions of a character.  A new one never overwrites what may have been edited."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import bpy

from ..json_text import read_json_text
from ..names import in_a_line
from ..user_error import UserError
from . import keyframes
from .footage import Clock
from .motion_file import ContactSpan, MotionClip, contact_of
from .ranges import LARGEST, check_header

ID_KEY, SOURCE_KEY = "staf_id", "staf_source"
CLIP_KEY = "staf_clip"
"""Custom property of an action: the clip's name, whatever the action is called."""
CARD_KEY, CLOCK_KEY = "staf_card", "staf_clock"
"""Custom properties of an action: quality card as JSON; frame of second 0 and frames a second."""
CONTACTS_KEY = "staf_contacts"
"""Custom property of an action: the clip's contact spans as JSON, in seconds of the clip."""
TRAVEL_KEY = "staf_travel"
"""Custom property of an action: which bone carries the travel."""
_NUMBER_KEY = "staf_take"
LAST_FRAME = 1_048_574
"""Blender's own limit."""
_LONGEST_JSON = 4_000_000
"""Letters.  Chosen: 30,000 contacts, far more than an hour has."""


def takes_of(rig: bpy.types.Object) -> list[bpy.types.Action]:
    """The actions that were imported for a character, oldest name first."""
    identity = rig.get(ID_KEY)
    if identity is None:
        return []
    return sorted((a for a in bpy.data.actions if a.get(ID_KEY) == identity), key=lambda a: a.name)


def new_take(
    rig: bpy.types.Object, clip: MotionClip, clock: Clock, replace: bool
) -> bpy.types.Action:
    """An action for a clip.

    Args:
        rig: the character.
        clip: what it will play.
        clock: of its keys.
        replace: give the character's newest take of this clip, so that strips which play it keep
            playing it; else, or where there is none, a new one beside it.
    """
    identity = rig.get(ID_KEY)
    if identity is None:
        identity = rig[ID_KEY] = uuid.uuid4().hex
    keyframes.keep_played(rig)
    same = [one for one in takes_of(rig) if one.get(CLIP_KEY) == clip.name and one.library is None]
    same.sort(key=_number_of)
    number = _number_of(same[-1]) + 1 if same else 1
    if replace and same:
        action = same[-1]
    else:
        name = clip.name if number == 1 else f"{clip.name} take {number}"
        action = keyframes.new_action(name)
        action[ID_KEY], action[CLIP_KEY], action[_NUMBER_KEY] = identity, clip.name, number
    action["staf_estimator"], action["staf_version"] = clip.estimator, clip.version
    action[SOURCE_KEY] = clip.source
    action[CARD_KEY] = json.dumps(dict(clip.card))
    action[CONTACTS_KEY] = json.dumps([dataclasses.asdict(span) for span in clip.contacts])
    action[CLOCK_KEY] = [float(clock.start_frame), clock.rate]
    return action


def clock_of(action: bpy.types.Action) -> tuple[float, float]:
    """Frame of the clip's second 0, and frames a second.

    Raises:
        UserError: it has none, or somebody edited it: a .blend may be a stranger's.
    """
    try:
        start, rate = map(float, action[CLOCK_KEY])
    except (KeyError, TypeError, ValueError):
        raise _edited(action, CLOCK_KEY) from None
    if not (abs(start) <= LAST_FRAME and 0 < rate <= LARGEST["source_fps"]):
        raise _edited(action, CLOCK_KEY)
    return start, rate


def contacts_of(action: bpy.types.Action) -> tuple[ContactSpan, ...]:
    """When parts of the body stand, in seconds of the clip.

    Raises:
        UserError: somebody edited it.
    """
    try:
        spans = _json_of(action, CONTACTS_KEY, "[]")
        if not isinstance(spans, list):
            raise TypeError("no list")
        check_header({"contacts": spans})
        return tuple(contact_of(span) for span in spans)
    except (UserError, KeyError, TypeError, ValueError, OverflowError):
        raise _edited(action, CONTACTS_KEY) from None


def card_of(action: bpy.types.Action) -> dict[str, Any]:
    """What a take says of its own quality; nothing where somebody edited it."""
    try:
        card = _json_of(action, CARD_KEY, "{}")
    except ValueError:
        return {}
    return card if isinstance(card, dict) else {}


def _json_of(action: bpy.types.Action, key: str, otherwise: str) -> Any:
    text = action.get(key, otherwise)
    if not isinstance(text, str) or len(text) > _LONGEST_JSON:
        raise ValueError("it is no text of ours")
    return read_json_text(text)


def _edited(action: bpy.types.Action, key: str) -> UserError:
    message = f"the property {key} of {in_a_line(action.name)} is not what an import wrote."
    return UserError(message, "Import the motion again.")


def _number_of(action: bpy.types.Action) -> int:
    number = action.get(_NUMBER_KEY, 0)
    return number if isinstance(number, int) else 0


def parts(rig: bpy.types.Object, action: bpy.types.Action) -> list[bpy.types.Action]:
    """Other clips of the same video in which this person appears at another time.

    Strips let all of them play; one action at a time would show a single one.
    """
    first, last = action.frame_range
    others = [take for take in takes_of(rig) if take.get(CLIP_KEY) != action.get(CLIP_KEY)]
    others = [take for take in others if take.get(SOURCE_KEY) == action.get(SOURCE_KEY) != ""]
    apart = [t for t in others if t.frame_range[0] > last or t.frame_range[1] < first]
    return apart if len(apart) == len(others) else []


def rest_older(rig: bpy.types.Object, action: bpy.types.Action) -> None:
    """Mute the tracks that play older takes of the same clip; they stay, to compare or go back."""
    for take in takes_of(rig):
        if take != action and take.get(CLIP_KEY) == action.get(CLIP_KEY):
            for track in rig.animation_data.nla_tracks:
                if all(strip.action == take for strip in track.strips):
                    track.mute = True


def take_playing(rig: bpy.types.Object) -> bpy.types.Action | None:
    """What a character plays: its action, else that of its newest strip that is not muted."""
    data = rig.animation_data
    if data is None:
        return None
    if data.action is not None:
        return data.action
    tracks = [track for track in data.nla_tracks if not track.mute]
    strips = [strip for track in reversed(tracks) for strip in track.strips if not strip.mute]
    return next((strip.action for strip in strips if strip.action is not None), None)


def edited_take(rig: bpy.types.Object) -> bpy.types.Action:
    """A new take, without keys, of the clip that a character plays, beside the one it plays."""
    keyframes.keep_played(rig)
    playing = take_playing(rig)
    clip = str(playing.get(CLIP_KEY, playing.name)) if playing else rig.name
    same = [one for one in takes_of(rig) if one.get(CLIP_KEY) == clip]
    number = max(map(_number_of, same), default=0) + 1
    action = keyframes.new_action(f"{clip} take {number}")
    if playing is not None:
        for key, value in playing.items():
            action[key] = value
    action[ID_KEY], action[CLIP_KEY], action[_NUMBER_KEY] = rig.get(ID_KEY, ""), clip, number
    return action
