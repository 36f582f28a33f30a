"""Drawing on the graphics processor, or on Mesa's software one: moderngl through EGL.

    bones ─► skin (transform feedback) ─► shadow map ─► picture, 2 x as fine ─► crop 224 x 224

One renderer a thread: contexts belong to the thread that made them.  They do not survive a fork,
so loaders' workers are spawned.
"""

import os
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.synthetic import shaders
from training.synthetic.looks import Outfit, Surroundings
from training.synthetic.meshes import Things
from training.synthetic.recipe import SyntheticError
from training.synthetic.scene import Camera, Person

_SHADOW_PX = 512  # side of the shadow map; chosen
_SHADOW_REACH_M = 1.6  # from the pelvis to the map's edge: the longest arm or leg
_MOVED_BYTES = 24  # of a skinned vertex: position and normal, three float32 each
_ADVICE = (
    "Install moderngl (pip install moderngl) and EGL: a GPU's driver, or on Debian "
    "apt install libegl1 libgl1-mesa-dri for rendering on the processor."
)


@dataclass(frozen=True)
class Actor:
    """A person and what they wear."""

    person: Person
    outfit: Outfit


@dataclass(frozen=True)
class Shot:
    """All that a sequence's pictures need: people, surroundings, camera, crops (T, 3)."""

    actors: tuple[Actor, ...]
    surroundings: Surroundings
    camera: Camera
    squares: np.ndarray


def renderer(pixels: int) -> "Renderer":
    """This thread's renderer of pictures of `pixels` a side.

    Raises:
        SyntheticError: moderngl or EGL is missing, or a process that had drawn was forked.
    """
    check_process()
    renderers = _own.__dict__.setdefault("renderers", {})
    if pixels not in renderers:
        renderers[pixels] = Renderer(pixels)
    return renderers[pixels]


def check_process() -> None:
    """Refuse to go on in a fork of a process that has drawn: the threads of the driver and of the
    libraries are not there, and whoever waits for them waits for ever.

    Raises:
        SyntheticError: this process is such a fork.
    """
    if _processes and _processes[0] != os.getpid():
        advice = "Start loaders' workers with the spawn method, or draw nothing before they fork."
        raise SyntheticError("Drawing had begun before this process was forked.", advice)


_own = threading.local()
_processes: list[int] = []


class Renderer:
    """Context, programs and targets; `begin` a shot, then `picture` its frames."""

    def __init__(self, pixels: int) -> None:
        self.context = _context()
        self.pixels = pixels
        self.name: str = self.context.info["GL_RENDERER"]
        make = self.context.program
        self._skin = make(vertex_shader=shaders.SKIN_VERTEX, varyings=("world_m", "world_normal"))
        self._person = make(
            vertex_shader=shaders.PERSON_VERTEX, fragment_shader=shaders.PERSON_FRAGMENT
        )
        self._thing = make(
            vertex_shader=shaders.THING_VERTEX, fragment_shader=shaders.THING_FRAGMENT
        )
        self._shadow = make(
            vertex_shader=shaders.SHADOW_VERTEX, fragment_shader=shaders.SHADOW_FRAGMENT
        )
        self._make_targets()
        self._held: list[Any] = []
        self._actors: list[_DrawnActor] = []
        self._shot: Shot | None = None
        self._sun_view = np.eye(4)

    def _make_targets(self) -> None:
        context, size = self.context, (self.pixels, self.pixels)
        self._target = context.framebuffer(
            context.renderbuffer(size, 4), context.depth_renderbuffer(size)
        )
        self._shadow_map = context.depth_texture((_SHADOW_PX, _SHADOW_PX))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow_map)

    def begin(self, shot: Shot) -> None:
        """Upload what stays the same in a shot."""
        with self.context:  # another renderer's may be current
            self._begin(shot)

    def _begin(self, shot: Shot) -> None:
        for thing in self._held:
            thing.release()
        self._held, self._shot = [], shot
        self._surfaces = self._array(shot.surroundings.surfaces)
        self._back = self._texture(shot.surroundings.back)
        self._back.repeat_x = self._back.repeat_y = False  # the shader mirrors it
        self._surroundings = self._things(shot.surroundings.things)
        self._actors = [self._actor(actor) for actor in shot.actors]
        for program in (self._person, self._thing):
            _give(program, shot.surroundings.light | {"shadow_map": 3})
        _give(self._thing, {"surface": 0, "back": 4})
        _give(self._person, {"cloth": 1, "folds": 2})

    def _keep(self, thing: Any) -> Any:
        self._held.append(thing)
        return thing

    def _array(self, layers: np.ndarray) -> Any:
        """Textures (L, S, S, 3) in an array."""
        count, height, width, _ = layers.shape
        data = np.ascontiguousarray(layers)
        size = (width, height, count)
        texture = self._keep(self.context.texture_array(size, 3, data, alignment=1))
        texture.build_mipmaps()
        return texture

    def _texture(self, picture: np.ndarray) -> Any:
        """A texture (S, S, 3) alone."""
        data = np.ascontiguousarray(picture)
        texture = self._keep(self.context.texture(data.shape[1::-1], 3, data, alignment=1))
        texture.build_mipmaps()
        return texture

    def _buffer(self, array: np.ndarray, kind: Any = np.float32) -> Any:
        return self._keep(self.context.buffer(np.ascontiguousarray(array, kind)))

    def _things(self, things: Things) -> Any:
        parts = [things.world_m, things.normal, things.uv_layer, things.glow[:, None]]
        vertices = self._buffer(np.concatenate(parts, 1))
        faces = self._buffer(things.faces, np.int32)
        content = [(vertices, "3f 3f 3f 1f", "world_m", "normal", "uv_layer", "glow")]
        return self._keep(self.context.vertex_array(self._thing, content, faces))

    def _actor(self, actor: Actor) -> "_DrawnActor":
        mesh = actor.outfit.mesh
        rest, normal = self._buffer(mesh.rest_m), self._buffer(mesh.normal)
        template, kind = self._buffer(mesh.template_m), self._buffer(mesh.kind)
        joints = self._buffer(mesh.joints, np.uint8)
        weights = self._buffer(mesh.weights)
        faces = self._buffer(mesh.faces, np.int32)
        moved = self._keep(self.context.buffer(reserve=len(mesh.rest_m) * _MOVED_BYTES))
        array = self.context.vertex_array
        on_template = [
            (template, "3f", "template_m"),
            (normal, "3f", "normal"),
            (kind, "1f", "kind"),
        ]
        at_rest = [(rest, "3f", "rest_m"), (joints, "4u1", "joints"), (weights, "4f", "weights")]
        posed = [(moved, "3f 3f", "world_m", "world_normal")]
        return _DrawnActor(
            actor,
            moved,
            skin=self._keep(array(self._skin, at_rest + on_template)),
            body=self._keep(array(self._person, posed + on_template, faces)),
            shadow=self._keep(array(self._shadow, [(moved, "3f 12x", "world_m")], faces)),
            cloth=self._array(actor.outfit.cloth),
            folds=self._texture(actor.outfit.folds),
        )

    def picture(self, at: float, frame: int, same_shadow: bool = False) -> np.ndarray:
        """The moment `at`, in frames, in the crop of `frame`: (S, S, 3) uint8 at `pixels`.

        `same_shadow` leaves the shadow of the picture before.

        Raises:
            RuntimeError: no shot was begun.
        """
        if self._shot is None:
            raise RuntimeError("begin a shot before drawing its pictures")
        with self.context:
            return self._picture(self._shot, at, frame, same_shadow)

    def _picture(self, shot: Shot, at: float, frame: int, same_shadow: bool) -> np.ndarray:
        self._skinned(at)
        if not same_shadow:
            self._sun_view = self._shadowed(shot, at)
        self._aim(shot, at, frame)
        self._draw()
        return self._read()

    def _aim(self, shot: Shot, at: float, frame: int) -> None:
        """Clear the picture and look through the camera of the moment into the frame's crop."""
        self._target.use()
        self._target.clear(0.5, 0.5, 0.5, 1.0, 1.0)
        self.context.enable_only(self.context.DEPTH_TEST)
        low, share = _between(at, len(shot.squares))
        view = shot.camera.view[low] * (1 - share) + shot.camera.view[low + (share > 0)] * share
        place = shot.camera.place_m
        eye = place[low] * (1 - share) + place[low + (share > 0)] * share
        x, y, side = shot.squares[frame]
        seen = {"view": view.T, "eye_m": eye, "crop": (x, y, side / 2, shot.camera.focal)}
        for program in (self._person, self._thing):
            _give(program, seen | {"sun_view": self._sun_view.T})

    def _read(self) -> np.ndarray:
        data = self._target.read(components=3, alignment=1)
        return np.frombuffer(data, np.uint8).reshape(self.pixels, self.pixels, 3)

    def _skinned(self, at: float) -> None:
        self._target.use()  # without a window there is no framebuffer at first, and no drawing
        for drawn in self._actors:
            bones = drawn.actor.person.bones
            low, share = _between(at, len(bones))
            now = bones[low] * (1 - share) + bones[low + (share > 0)] * share
            _give(self._skin, {"bones": now.swapaxes(-1, -2), **drawn.actor.outfit.numbers})
            drawn.skin.transform(drawn.moved)

    def _shadowed(self, shot: Shot, at: float) -> np.ndarray:
        """Draw the shadow map; world to the light's view (4, 4)."""
        low, _ = _between(at, len(shot.squares))
        light = shot.surroundings.light
        sun_view = _sun_view(np.array(light["sun_to"]), shot.actors[0].person.pelvis_m[low])
        if light["shadows"]:
            self._shadow_target.use()
            self._shadow_target.clear(depth=1.0)
            self.context.enable_only(self.context.DEPTH_TEST)
            _give(self._shadow, {"sun_view": sun_view.T})
            for drawn in self._actors:
                drawn.shadow.render()
        self._shadow_map.use(3)
        return sun_view

    def _draw(self) -> None:
        for drawn in self._actors:
            drawn.cloth.use(1)
            drawn.folds.use(2)
            _give(self._person, drawn.actor.outfit.numbers)
            drawn.body.render()
        self._surfaces.use(0)
        self._back.use(4)
        self._surroundings.render()


@dataclass(frozen=True)
class _DrawnActor:
    actor: Actor
    moved: Any
    skin: Any
    body: Any
    shadow: Any
    cloth: Any
    folds: Any


def _context() -> Any:
    """A context without a window.

    Raises:
        SyntheticError: moderngl or EGL is missing.
    """
    check_process()
    try:
        import moderngl

        context = moderngl.create_standalone_context(require=330, backend="egl")  # pyright: ignore
    except Exception as error:  # moderngl raises plain Exceptions
        raise SyntheticError(f"Nothing can draw here: {error}.", _ADVICE) from error
    _processes[:] = [os.getpid()]
    return context


def _between(at: float, frames: int) -> tuple[int, float]:
    """Frame before a moment and the share of the next one; beyond the ends the ends."""
    at = min(max(at, 0.0), frames - 1.0)
    low = int(at)
    return low, at - low


def _sun_view(to: np.ndarray, middle_m: np.ndarray) -> np.ndarray:
    """World to the light's box about the person (4, 4): the map's x, y and depth, all -1..1."""
    right = np.cross(to, (0.0, 0.0, 1.0) if abs(to[1]) > 0.9 else (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(to, right), -to]) / _SHADOW_REACH_M
    turn[2] /= 3
    sun_view = np.eye(4)
    sun_view[:3, :3], sun_view[:3, 3] = turn, -turn @ middle_m
    return sun_view


def _give(program: Any, numbers: dict[str, Any]) -> None:
    """Set those uniforms that the program has (drivers drop unused ones)."""
    for name, value in numbers.items():
        if name in program:
            uniform = program[name]
            if isinstance(value, (int, float)):
                uniform.value = value
            else:
                uniform.write(np.ascontiguousarray(value, np.float32))
