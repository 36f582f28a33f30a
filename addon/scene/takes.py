# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: the actions of a character.  A new one never overwrites what may have been edited."""

from __future__ import annotations

import dataclasses
import json
import uuid

import bpy

from . import keyframes
from .footage import Clock
from .motion_file import MotionClip

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
    same = [one for one in takes_of(rig) if one.get(CLIP_KEY) == clip.name and one.library is None]
    same.sort(key=lambda one: one.get(_NUMBER_KEY, 0))
    number = same[-1].get(_NUMBER_KEY, 1) + 1 if same else 1
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
    playing = take_playing(rig)
    clip = str(playing.get(CLIP_KEY, playing.name)) if playing else rig.name
    same = [one for one in takes_of(rig) if one.get(CLIP_KEY) == clip]
    number = max((one.get(_NUMBER_KEY, 1) for one in same), default=0) + 1
    action = keyframes.new_action(f"{clip} take {number}")
    if playing is not None:
        for key, value in playing.items():
            action[key] = value
    action[ID_KEY], action[CLIP_KEY], action[_NUMBER_KEY] = rig.get(ID_KEY, ""), clip, number
    return action
