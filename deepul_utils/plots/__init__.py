"""Figures for the notebooks. Every function returns a Figure, and neither saves nor shows.

Arrays may be NumPy arrays or torch tensors. matplotlib loads with the first plot; its pyplot, which would
show a figure a second time, is not used. While a notebook is graded nothing is drawn, unless `for_grades` says so: a
figure decides no grade, and takes as long as all that does. What cannot be drawn is said in words (`CannotDraw`).
"""

from deepul_utils.errors import CannotDraw
from deepul_utils.plots.common import BLACK, BLUE, DPI, GREEN, GREY, INK, ORANGE, PINK, SKY, TEXT, WIDTH, NotDrawn
from deepul_utils.plots.diffusion import above_floor, against_steps, cloud, trajectories, vector_fields
from deepul_utils.plots.distributions import PIXELS, distribution, gallery, pmf_1d, pmf_2d, samples_1d, scatter_2d
from deepul_utils.plots.flows import density_1d, density_2d, latent_space, layers, pushed_through
from deepul_utils.plots.games import OUTLINE, curves, film, game_1d, game_2d, game_history, samples_2d
from deepul_utils.plots.latent import code_cells, code_maps, decoder_noise, elbo_terms, information, latents
from deepul_utils.plots.losses import BAND, STEEP, history
from deepul_utils.plots.matrices import masks, matrix
from deepul_utils.plots.pixels import GAP, LABEL, MAGNIFIED, image_rows, images, receptive_field
from deepul_utils.plots.sequences import reach, signals
from deepul_utils.plots.sliders import Slider, slider

__all__ = [
    "BAND",
    "BLACK",
    "BLUE",
    "DPI",
    "GAP",
    "GREEN",
    "GREY",
    "INK",
    "LABEL",
    "MAGNIFIED",
    "ORANGE",
    "OUTLINE",
    "PINK",
    "PIXELS",
    "SKY",
    "STEEP",
    "TEXT",
    "WIDTH",
    "CannotDraw",
    "NotDrawn",
    "Slider",
    "above_floor",
    "against_steps",
    "cloud",
    "code_cells",
    "code_maps",
    "curves",
    "decoder_noise",
    "density_1d",
    "density_2d",
    "distribution",
    "elbo_terms",
    "film",
    "for_grades",
    "gallery",
    "game_1d",
    "game_2d",
    "game_history",
    "history",
    "image_rows",
    "images",
    "information",
    "latent_space",
    "latents",
    "layers",
    "masks",
    "matrix",
    "pmf_1d",
    "pmf_2d",
    "pushed_through",
    "reach",
    "receptive_field",
    "samples_1d",
    "samples_2d",
    "scatter_2d",
    "signals",
    "slider",
    "trajectories",
    "vector_fields",
]

for_grades = False  # whether to draw while a notebook is graded; whoever grades sets it here
