"""The paper's Tables I to VI, row by row (Yao et al. 2024).

Errors in millimetres; the acceleration error is per frame squared, whatever the paper's head says.
The copy at hand cuts off accelerations on MPI-INF-3DHP.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperRow:
    """One row for one set; None is what the paper does not print.

    `with_3dpw`: whether 3DPW's training videos were learnt from (a star in the paper), None where
    it is not said.
    """

    name: str
    pa_mpjpe_mm: float
    mpjpe_mm: float | None = None
    pve_mm: float | None = None
    acceleration_mm_per_frame2: float | None = None
    with_3dpw: bool | None = None


@dataclass(frozen=True)
class SizeRow:
    """One row of Table II: parameters in millions, and the model's size in MB."""

    name: str
    parameters_m: float
    size_mb: float


TABLE_I: dict[str, tuple[PaperRow, ...]] = {
    "3dpw": (
        PaperRow("HMR", 76.7, 130.0, None, 37.4),
        PaperRow("GraphCMR", 70.2),
        PaperRow("SPIN", 59.2, 96.9, 116.4, 29.8),
        PaperRow("I2L-MeshNet", 57.7, 93.2, 110.1),
        PaperRow("PyMAF", 58.9, 92.8, 110.1),
        PaperRow("PARE (HRNet-W32)", 50.9, 82.0, 97.9),
        PaperRow("HMMR", 72.6, 116.5, 139.3, 15.2),
        PaperRow("Sim2Real", 74.7),
        PaperRow("Temporal Context", 72.2),
        PaperRow("DSD-SATN", 69.5),
        PaperRow("MEVA", 54.7, 86.9, None, 11.6, True),
        PaperRow("VIBE", 51.9, 82.9, 99.1, 23.4, True),
        PaperRow("VIBE", 56.5, 93.5, 113.4, 27.1, False),
        PaperRow("TCMR", 52.7, 86.5, 102.9, 7.1, True),
        PaperRow("TCMR", 55.8, 95.0, 111.3, 6.7, False),
        PaperRow("MPS-Net", 52.1, 84.3, 99.7, 7.4, True),
        PaperRow("MPS-Net", 54.0, 91.6, 109.6, 7.5, False),
        PaperRow("STAF", 48.0, 80.6, 95.3, 8.2, True),
        PaperRow("STAF", 48.7, 81.2, 96.0, 8.2, False),
    ),
    "mpii3d": (
        PaperRow("HMR", 89.8, 124.2),
        PaperRow("SPIN", 67.5, 105.2),
        PaperRow("MEVA", 65.4, 96.4, with_3dpw=True),
        PaperRow("VIBE", 64.6, 96.6, with_3dpw=True),
        PaperRow("VIBE", 63.4, 97.7, with_3dpw=False),
        PaperRow("TCMR", 63.5, 97.3, with_3dpw=True),
        PaperRow("TCMR", 62.8, 97.4, with_3dpw=False),
        PaperRow("MPS-Net", 62.8, 96.7, with_3dpw=True),
        PaperRow("STAF", 59.6, 93.7, with_3dpw=True),
        PaperRow("STAF", 58.8, 92.4, with_3dpw=False),
    ),
}
"""By protocol.  Rows that the table stars learnt from 3DPW's training videos."""

TABLE_II = (
    SizeRow("VIBE", 72.43, 776),
    SizeRow("MEVA", 85.72, 858.8),
    SizeRow("TCMR", 108.89, 1073),
    SizeRow("STAF", 51.12, 359.8),
)

TABLE_III: dict[str, tuple[PaperRow, ...]] = {
    "h36m": (
        PaperRow("HMMR", 56.9),
        PaperRow("VIBE", 53.3, 78.0, None, 27.3),
        PaperRow("MEVA", 53.2, 76.0, None, 15.3),
        PaperRow("TCMR", 52.0, 73.6, None, 3.9),
        PaperRow("MPS-Net", 47.4, 69.4, None, 3.6),
        PaperRow("STAF", 44.5, 70.4, None, 4.8),
    ),
}
"""By protocol."""


def _rows(*rows: tuple[str, float, float, float, float]) -> dict[str, PaperRow]:
    return {
        name: PaperRow(name, pa, mpjpe, pve, acceleration)
        for name, pa, mpjpe, pve, acceleration in rows
    }


TABLE_IV = _rows(
    ("base", 49.3, 83.5, 99.5, 27.5),
    ("base + APM", 48.4, 81.8, 96.9, 8.1),
    ("base + STAF", 48.8, 82.3, 97.8, 24.7),
    ("base + STAF + APM", 48.0, 80.6, 95.3, 8.2),
)
"""On 3DPW, by the names of `configurations.TABLE_IV`."""

TABLE_V = _rows(
    ("HMR", 54.3, 91.4, 107.2, 29.1),
    ("HMR + HAFI", 54.2, 90.9, 107.3, 29.1),
    ("HMR + APM", 53.1, 87.9, 103.3, 7.7),
    ("MPS-Net without HAFI", 53.0, 86.7, 102.2, 23.5),
    ("MPS-Net with HAFI", 53.2, 87.7, 102.9, 8.0),
    ("MPS-Net with APM", 52.8, 87.5, 102.7, 7.8),
)
"""On 3DPW, by the names of `configurations.TABLE_V`."""

TABLE_VI = _rows(
    ("TCFM1", 48.5, 81.8, 97.1, 8.1),
    ("TCFM1 + SAFM1", 49.4, 83.2, 98.4, 8.5),
    ("TCFM1 + SAFM2", 48.0, 80.6, 95.3, 8.2),
    ("TCFM1 + SAFM3", 48.8, 81.6, 96.6, 8.3),
    ("TCFM2", 48.9, 82.7, 98.5, 8.2),
    ("TCFM2 + SAFM2", 48.8, 81.8, 97.4, 8.3),
    ("TCFM2 + SAFM3", 48.9, 82.2, 97.6, 8.4),
    ("TCFM3", 49.2, 83.2, 99.1, 8.0),
    ("TCFM3 + SAFM3", 49.0, 82.0, 97.3, 8.1),
    ("SAFM1", 48.4, 81.3, 96.2, 8.2),
    ("SAFM2", 48.5, 80.7, 95.7, 8.2),
    ("SAFM3", 48.8, 82.1, 97.0, 8.0),
)
"""On 3DPW, by the names of `configurations.TABLE_VI`; all with APM, SAFM after TCFM."""
