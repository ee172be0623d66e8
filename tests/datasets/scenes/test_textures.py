from __future__ import annotations

import numpy as np
import pytest

from ovseg.datasets.scenes import textures
from ovseg.datasets.scenes.classes import STUFF


@pytest.mark.parametrize("name", STUFF)
def test_every_texture_is_a_picture_with_contrast(name):
    picture = textures.texture(name, 0)
    assert picture.shape == (textures.SIDE, textures.SIDE, 3)
    assert picture.dtype == np.uint8
    # Nothing overflowed: values that are not finite would have been cast to 0.
    assert picture.astype(float).std() > 2
    assert (picture == 0).mean() < 0.2


def test_variants_differ_and_a_texture_is_the_same_when_made_again():
    first, second = textures.texture("grass", 0), textures.texture("grass", 1)
    assert not np.array_equal(first, second)
    assert np.array_equal(textures.texture.__wrapped__("grass", 0), first)


def test_surface_noise_is_finite_and_within_bounds():
    noise = textures.surface_noise(0)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()
    assert -0.2 < noise.min() < 0.3 < 0.7 < noise.max() < 1.2


def test_smooth_noise_of_one_octave_is_its_grid():
    noise = textures.smooth_noise(np.random.default_rng(0), 8, (8,))
    grid = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    np.testing.assert_allclose(noise, grid, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (20, 90), (300, 40), (1100, 1100)])
@pytest.mark.parametrize("zoom", [0.2, 1.0, 50.0])
def test_crop_gives_the_wanted_size_and_takes_the_same_draws_for_all(size, zoom):
    rng = np.random.default_rng(4)
    piece, light = textures.crop(rng, "sand", size, zoom)
    assert piece.shape == (*size, 3)
    assert piece.dtype == np.uint8
    assert light.dtype == np.float32
    assert ((light > 0.7) & (light < 1.3)).all()
    other = np.random.default_rng(4)
    textures.crop(other, "sand", (64, 64), 1.0)
    assert rng.random() == other.random()
