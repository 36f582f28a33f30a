# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's list of contacts: when heels, toes, hands ... stand; edited, and solved by again."""

import dataclasses
from collections.abc import Iterable

import bpy
from bpy.props import CollectionProperty, EnumProperty, IntProperty

from .on_character import OnCharacter, take_of
from .panels import InSidebar
from .scene.character import PERSON_KEY, characters
from .scene.takes import LAST_FRAME, SOURCE_KEY, clock_of, contacts_of
from .settings import absolute
from .solve_operators import Solving, work_of
from .solving.contacts import PARTS, Span, write_contacts
from .solving.job import job_folder
from .solving.solve import Work
from .storage import user_folder
from .user_error import UserError

PART_ITEMS = [
    (part, part.replace("_", " ").capitalize(), "What stands on its spot") for part in PARTS
]
_NEW_FRAMES = 10
"""Length of a contact that is added.  Chosen: a third of a second."""


class StafContact(bpy.types.PropertyGroup):
    """A line of the list."""

    part: EnumProperty(name="Part", items=PART_ITEMS)
    start: IntProperty(name="Start", description="First frame of the scene on which it stands")
    end: IntProperty(name="End", description="Last frame of the scene on which it stands")


class EditContacts(OnCharacter, bpy.types.Operator):
    """List when parts of the body stand in this take, to correct it; what was listed is replaced"""

    bl_idname = "staf.edit_contacts"
    bl_label = "List Contacts"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        take = self.take(context)
        (start, rate), spans = clock_of(take), contacts_of(take)
        take.staf_contact_list.clear()
        for span in spans:
            if span.part not in PARTS:
                continue
            line = take.staf_contact_list.add()
            line.part = span.part
            line.start, line.end = (
                _frame(second, start, rate) for second in (span.start_s, span.end_s)
            )
        return [f"{len(take.staf_contact_list)} contacts listed"]


class AddContact(OnCharacter, bpy.types.Operator):
    """Add a contact that starts on the current frame"""

    bl_idname = "staf.add_contact"
    bl_label = "Add Contact"
    bl_options = {"REGISTER", "UNDO"}

    part: EnumProperty(name="Part", items=PART_ITEMS)

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        take, frame = self.take(context), context.scene.frame_current
        line = take.staf_contact_list.add()
        line.part, line.start, line.end = self.part, frame, frame + _NEW_FRAMES
        take.staf_contact_at = len(take.staf_contact_list) - 1
        return []


class RemoveContact(OnCharacter, bpy.types.Operator):
    """Remove a contact from the list"""

    bl_idname = "staf.remove_contact"
    bl_label = "Remove Contact"
    bl_options = {"REGISTER", "UNDO"}

    number: IntProperty(name="Number", description="Of the line, from 0; -1: the chosen one")

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        take = self.take(context)
        number = self.number if self.number >= 0 else take.staf_contact_at
        if not 0 <= number < len(take.staf_contact_list):
            raise UserError("no such contact is listed.")
        take.staf_contact_list.remove(number)
        take.staf_contact_at = max(0, min(take.staf_contact_at, len(take.staf_contact_list) - 1))
        return []


class ApplyContacts(OnCharacter, Solving, bpy.types.Operator):
    """Solve the video again with the listed contacts, of everybody in it who has a list"""

    bl_idname = "staf.apply_contacts"
    bl_label = "Solve with Contacts"
    bl_options = {"REGISTER"}

    def works(self, context: bpy.types.Context) -> list[Work]:
        source = str(self.take(context).get(SOURCE_KEY, ""))
        video = absolute(context.scene.staf.video)
        if video is None or video.name != source:
            raise UserError(f"the panel's video is not {source}.", "Choose it there.")
        work = work_of(context, video)
        people = listed_people(context.scene, source)
        folder = job_folder(user_folder("contacts"), video.stem)
        path = folder / f"{video.stem}.contacts.json"
        write_contacts(path, source, people)
        work.request = dataclasses.replace(work.request, contacts=path)
        return [work]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self.start(context)


def listed_people(scene: bpy.types.Scene, source: str) -> dict[int, list[Span]]:
    """The listed contacts of a video's people, by number; of those alone who have a list.

    Raises:
        UserError: nobody has one.
    """
    people = {}
    for rig in characters(scene):
        take = take_of(rig)
        number = rig.get(PERSON_KEY)
        if take is None or take.get(SOURCE_KEY) != source or not take.staf_contact_list:
            continue
        if not isinstance(number, int):  # somebody edited it
            continue
        people[number] = _spans(take)
    if not people:
        raise UserError(f"no contacts of {source} are listed.", "Press List Contacts first.")
    return people


def _spans(take: bpy.types.Action) -> list[Span]:
    """The listed contacts in seconds of the clip.

    An end that was not moved is where the take has it, between two frames of the scene where the
    clip has another rate; one that was moved past the first or last pose by less than a frame of
    the scene is at that pose.
    """
    start, rate = clock_of(take)
    known = [(one.part, second) for one in contacts_of(take) for second in (one.start_s, one.end_s)]
    unmoved = {(part, _frame(second, start, rate)): second for part, second in known}
    first_s, last_s = ((frame - start) / rate for frame in take.frame_range)

    def second_of(part: str, frame: int) -> float:
        if (part, frame) in unmoved:
            return unmoved[part, frame]
        second = max(0.0, (frame - start) / rate)
        inside = min(max(second, first_s), last_s)
        return inside if abs(inside - second) * rate < 1 else second

    lines = take.staf_contact_list
    return [
        Span(one.part, *(second_of(one.part, end) for end in (one.start, one.end))) for one in lines
    ]


def _frame(second: float, start: float, rate: float) -> int:
    """The frame of the scene that is nearest to a second of the clip."""
    return round(max(-LAST_FRAME, min(start + second * rate, LAST_FRAME)))


class ContactList(bpy.types.UIList):
    """When parts of the body stand"""

    bl_idname = "STAF_UL_contacts"

    def draw_item(
        self,
        _context,
        layout,
        _take,
        line,
        _icon,
        _active_data,
        _active_property,
        _index=0,
        _flag=0,
    ) -> None:
        row = layout.row(align=True)
        row.prop(line, "part", text="", emboss=False)
        row.prop(line, "start", text="", emboss=False)
        row.prop(line, "end", text="", emboss=False)


class ContactPanel(InSidebar, bpy.types.Panel):
    """Contacts of the active character's take"""

    bl_idname = "STAF_PT_contacts"
    bl_label = "Contacts"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 8

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return take_of(context.active_object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        take = take_of(context.active_object)
        if take is None:
            return
        self.layout.operator(EditContacts.bl_idname, icon="FILE_REFRESH")
        if not take.staf_contact_list:
            return
        row = self.layout.row()
        row.template_list(
            ContactList.bl_idname, "", take, "staf_contact_list", take, "staf_contact_at", rows=5
        )
        column = row.column(align=True)
        column.operator(AddContact.bl_idname, text="", icon="ADD")
        column.operator(RemoveContact.bl_idname, text="", icon="REMOVE").number = -1
        self.layout.operator(ApplyContacts.bl_idname, icon="PLAY")


CLASSES = (
    *(StafContact, EditContacts, AddContact, RemoveContact, ApplyContacts),
    *(ContactList, ContactPanel),
)


def add_properties() -> None:
    """Lists are kept on the takes; call with the classes registered."""
    bpy.types.Action.staf_contact_list = CollectionProperty(type=StafContact)
    bpy.types.Action.staf_contact_at = IntProperty()


def remove_properties() -> None:
    """Before the classes go."""
    del bpy.types.Action.staf_contact_list
    del bpy.types.Action.staf_contact_at
