"""Plots of the model of real text."""

import numpy as np

from mdmot.report.figures.drawing import COLOURS, TARGET_COLOUR, panels, svg


def training_curve(losses: np.ndarray, bits_per_byte: float, unigram_bits_per_byte: float) -> str:
    """Loss of each step, its running mean, and the two held-out levels."""
    figure, (axis,) = panels(1, columns=1, width=9.0, height=3.2)
    steps = np.arange(1, losses.size + 1)
    axis.plot(steps, losses, color=TARGET_COLOUR, linewidth=0.7, label="batch")
    window = max(1, losses.size // 30)
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    axis.plot(steps[window - 1 :], smooth, color=COLOURS[0], label=f"mean of {window} batches")
    axis.axhline(bits_per_byte, color=COLOURS[1], label=f"held out: {bits_per_byte:.2f}")
    axis.axhline(unigram_bits_per_byte, color=COLOURS[2], linestyle="--", label="byte frequencies")
    axis.set_xlabel("training step")
    axis.set_ylabel("bits per byte")
    axis.set_ylim(0, 9)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.3)
    return svg(figure)
