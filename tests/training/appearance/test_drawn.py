"""Drawn looks at people: what is in a crop, and that only the person stays the same."""

import numpy as np
import pytest

pytest.importorskip("torch")

from training.appearance.clothes import changed, draw_outfit, paint
from training.appearance.draw import draw_part, main
from training.appearance.outlines import NOTHING, draw_outlines
from training.appearance.pictures import Look, draw_clip, take
from training.synthetic import Bank

BANK = Bank(0, ())


@pytest.fixture(scope="module")
def figure():
    return draw_outlines([], 6, np.random.default_rng(3))


def test_outlines_show_a_person_who_faces_the_camera(figure):
    shown = figure.points != NOTHING
    assert (shown.mean((1, 2)) > 0.1).all()
    assert (shown.mean((1, 2)) < 0.8).all()
    assert (figure.points[shown] < len(figure.skin.rest_m)).all()
    away = figure.facing[shown][:, 2]
    assert (away < 40).mean() > 0.99  # z points away from the camera: skin that is seen does not
    # heads are above feet: the template's height falls from row to row
    height = figure.skin.template_m[:, 1]
    for points, seen in zip(figure.points, shown, strict=True):
        rows = np.nonzero(seen)[0]
        upper = rows < np.quantile(rows, 0.2)
        lower = rows > np.quantile(rows, 0.8)
        assert height[points[seen][upper]].mean() > height[points[seen][lower]].mean()


def test_clothes_are_where_they_belong(figure):
    rng = np.random.default_rng(0)
    outfit = draw_outfit(BANK, rng)
    cloth = np.zeros_like(outfit.cloth)
    for layer, shade in enumerate(cloth):
        shade[:] = 10 * layer + 5
    plain = type(outfit)(**{**vars(outfit), "cloth": cloth, "print_box": np.zeros(4)})
    colours = paint(plain, figure.skin)[:, 0] // 10
    body = figure.skin.kind == 0
    height = figure.skin.template_m[:, 1]
    assert set(np.unique(colours[body & (height > 0.4)])) <= {0, 1}  # a head: skin and hair
    hip = body & (height < outfit.waist_y - 0.02) & (height > -0.4)
    assert set(np.unique(colours[hip])) == {3}


def test_a_changed_outfit_keeps_where_clothes_end():
    rng = np.random.default_rng(1)
    outfit = draw_outfit(BANK, rng)
    other = changed(outfit, BANK, rng)
    assert (other.sleeve_x, other.hem_y) == (outfit.sleeve_x, outfit.hem_y)
    assert (other.cloth[2:4] != outfit.cloth[2:4]).any()


def test_a_crop_shows_the_colours_of_the_person(figure):
    rng = np.random.default_rng(2)
    clip = draw_clip(BANK, rng)
    colours = [
        np.full((len(figure.skin.rest_m), 3), c, np.uint8) for c in ((200, 40, 40), (40, 40, 200))
    ]
    red, blue = (
        np.mean(
            [
                take(clip, Look(p, f, c), [], rng).mean((0, 1))
                for p, f in zip(figure.points, figure.facing, strict=True)
            ],
            0,
        )
        for c in colours
    )
    assert red[0] - red[2] > blue[0] - blue[2] + 10


def test_a_part_is_the_same_again_and_its_people_differ():
    one, again = (draw_part([], BANK, np.random.default_rng(5), (1, 6, 2)) for _ in range(2))
    assert one.shape == (1, 6, 2, 128, 64, 3)
    np.testing.assert_array_equal(one, again)
    assert len({crop.tobytes() for crop in one.reshape(12, -1)}) == 12


def test_parts_that_are_there_are_kept(tmp_path, capsys):
    (tmp_path / "0000.npy").write_bytes(b"here")
    main([str(tmp_path), "--parts", "1"])
    assert (tmp_path / "0000.npy").read_bytes() == b"here"
    assert not capsys.readouterr().out
