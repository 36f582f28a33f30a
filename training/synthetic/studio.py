"""Synthetic people: open bodies in captured or sampled motion, drawn with exact targets.

    seed, index ─► motion ─► person, camera, crops ─► clothes, light ─► drawn ─► flawed ─► crop
                   movement  scene                    looks             draw     degrade

The same recipe, seed and index give the same bytes on one machine (drivers differ in the last
bits).  What a crop's targets mean is said in `targets.squares`: joints and the root's rotation
belong to a camera that is turned straight at the crop.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from staf_backend.staf import CROP_PX
from training.moves import Movement, movement
from training.synthetic import degrade, looks, scene
from training.synthetic.degrade import Flaws
from training.synthetic.draw import Actor, Renderer, Shot, check_process, renderer
from training.synthetic.recipe import PARTS, SyntheticRecipe, clips_of
from training.synthetic.scene import Person
from training.synthetic.textures import Bank, photographs
from training.targets import CropSequence, Targets


@dataclass(frozen=True)
class Take:
    """Everything of one sequence but its pixels.

    Attributes:
        shot: what is drawn.
        flaws: of the recording.
        targets: of the T frames.
        times_s: (T,).
        shutter: share of a frame's time that the shutter is open; 0 where nothing blurs.
        noise_seed: of what differs from frame to frame.
    """

    shot: Shot
    flaws: Flaws
    targets: Targets
    times_s: np.ndarray
    shutter: float
    noise_seed: int


class Studio:
    """Makes takes and pictures of a recipe."""

    def __init__(self, recipe: SyntheticRecipe) -> None:
        """Opens the motion and lists the photographs.

        Raises:
            MocapError: the motion cannot be read.
            SyntheticError: the folder of photographs holds none.
        """
        self.recipe = recipe
        self.clips = clips_of(recipe)
        self.bank = Bank(PARTS.index(recipe.part), photographs(recipe.photos))

    def take(self, frames: int, rate_hz: float, rng: np.random.Generator) -> Take:
        """A new sequence."""
        recipe = self.recipe
        body = self._body(rng)
        person = scene.stand(body, self._move(frames, rate_hz, rng), rng)
        camera = scene.look(person, rate_hz, recipe.views, rng)
        squares = scene.crop_squares(person, camera, rate_hz, recipe.views, rng)
        people = [person]
        if rng.random() < recipe.looks.other_person:
            people.append(self._other(person, rate_hz, rng))
        actors = tuple(
            Actor(who, looks.dress(who, recipe.looks, self.bank, recipe.cell_m, rng))
            for who in people
        )
        around = looks.surround(person, camera, squares, recipe.looks, self.bank, rng)
        cut = recipe.views.truncated / 2
        flaws = degrade.draw_flaws(recipe.degradation, squares, cut, rng)
        blurred = rng.random() < recipe.degradation.motion_blur
        return Take(
            Shot(actors, around, camera, squares),
            flaws,
            scene.truth(person, camera, squares, body == recipe.bodies[0][0]),
            np.arange(frames) / rate_hz,
            float(rng.uniform(0.3, 1.0)) if blurred else 0.0,
            int(rng.integers(2**62)),
        )

    def _body(self, rng: np.random.Generator) -> str:
        shares = np.array([share for _, share in self.recipe.bodies])
        return self.recipe.bodies[rng.choice(len(shares), p=shares / shares.sum())][0]

    def _move(self, frames: int, rate_hz: float, rng: np.random.Generator) -> Movement:
        variety = self.recipe.variety
        if not self.clips or rng.random() < self.recipe.sampled:
            return movement.sampled(frames, rate_hz, variety, rng)
        return movement.captured(self.clips, frames, rate_hz, variety, rng)

    def _other(self, person: Person, rate_hz: float, rng: np.random.Generator) -> Person:
        """Somebody else, a step or more away."""
        frames = len(person.pelvis_m)
        heading, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 2.5)
        middle = person.pelvis_m.mean(0)[[0, 2]]
        x, z = middle + far * np.array([np.cos(heading), np.sin(heading)])
        return scene.stand(
            self._body(rng), self._move(frames, rate_hz, rng), rng, (float(x), float(z))
        )

    def pictures(self, take: Take, first: int, last: int, size: int = CROP_PX) -> np.ndarray:
        """Crops (last - first, size, size, 3) uint8 RGB of a take's frames.

        Raises:
            SyntheticError: nothing can draw here.
        """
        drawing = renderer(round(self.recipe.pixels * size / CROP_PX))
        drawing.begin(take.shot)
        pictures = np.empty((last - first, size, size, 3), np.uint8)
        for frame in range(first, last):
            drawn = self._exposed(drawing, take, frame)
            rng = np.random.default_rng([take.noise_seed, frame])
            square = take.shot.squares[frame]
            pictures[frame - first] = degrade.degrade(drawn, take.flaws, square, rng, size)
        return pictures

    def _exposed(self, drawing: Renderer, take: Take, frame: int) -> np.ndarray:
        """The frame, or the mean of moments about it while the shutter is open."""
        steps = self.recipe.degradation.motion_steps
        if not take.shutter or steps == 1 or len(take.shot.squares) == 1:
            return drawing.picture(frame, frame)
        moments = frame + take.shutter * ((np.arange(steps) + 0.5) / steps - 0.5)
        total = np.zeros((drawing.pixels, drawing.pixels, 3), np.uint16)
        for step, at in enumerate(moments):
            total += drawing.picture(at, frame, same_shadow=step > 0)
        return (total // steps).astype(np.uint8)


class SyntheticSequences:
    """Videos of single people (a `SequenceSource`)."""

    def __init__(self, recipe: SyntheticRecipe, count: int, seed: int) -> None:
        """`count` sequences; `seed` chooses which.

        Raises:
            MocapError, SyntheticError: the recipe names a file or a folder that cannot be used.
        """
        if count < 1:
            raise ValueError(f"count must be 1 or more, got {count}")
        self.name = f"synthetic-{recipe.part}-{seed}"
        self.body = recipe.bodies[0][0]
        self.recipe, self.count, self.seed = recipe, count, seed
        self.studio = Studio(recipe)

    def __len__(self) -> int:
        return self.count

    def take(self, index: int) -> Take:
        """Sequence `index` without its pixels."""
        if not 0 <= index < self.count:
            raise IndexError(f"{self.name} has {self.count} sequences, not one numbered {index}")
        rng = np.random.default_rng([self.seed, PARTS.index(self.recipe.part), 1, index])
        frames = int(rng.integers(self.recipe.frames[0], self.recipe.frames[1] + 1))
        return self.studio.take(frames, float(rng.uniform(*self.recipe.rate_hz)), rng)

    def parts(self, index: int) -> Iterator[CropSequence]:
        """Sequence `index` in parts of at most `recipe.part_frames` frames.

        Raises:
            SyntheticError: nothing can draw here.
        """
        check_process()
        take = self.take(index)
        frames = len(take.times_s)
        for first in range(0, frames, self.recipe.part_frames):
            last = min(first + self.recipe.part_frames, frames)
            part = slice(first, last)
            yield CropSequence(
                f"{self.name}/{index:06d}",
                self.studio.pictures(take, first, last),
                take.targets.map(lambda field, part=part: field[part]),
                take.times_s[part],
                np.ones(last - first, bool),
            )


class SyntheticImages:
    """Single crops, rendered anew at every draw (an `ImageSource`)."""

    def __init__(self, recipe: SyntheticRecipe, count: int, seed: int) -> None:
        """`count` is how many make an epoch.

        Raises:
            MocapError, SyntheticError: the recipe names a file or a folder that cannot be used.
        """
        if count < 1:
            raise ValueError(f"count must be 1 or more, got {count}")
        self.name = f"synthetic-images-{recipe.part}-{seed}"
        self.body = recipe.bodies[0][0]
        self.recipe, self.count, self.seed = recipe, count, seed
        self.studio = Studio(recipe)

    def __len__(self) -> int:
        return self.count

    def take(self, index: int, rng: np.random.Generator) -> Take:
        """A picture without its pixels."""
        if not 0 <= index < self.count:
            raise IndexError(f"{self.name} has {self.count} pictures, not one numbered {index}")
        draw = int(rng.integers(2**62))
        fresh = np.random.default_rng([self.seed, PARTS.index(self.recipe.part), 2, index, draw])
        return self.studio.take(1, 30.0, fresh)

    def image(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        """Crop (224, 224, 3) uint8 RGB and its targets without leading axes.

        Raises:
            SyntheticError: nothing can draw here.
        """
        check_process()
        take = self.take(index, rng)
        return self.studio.pictures(take, 0, 1)[0], take.targets.map(lambda field: field[0])
