"""The paper's networks by name: Tables IV, V and VI, and what any configuration is called.

Tables IV and VI vary STAF itself; Table V puts the fusions on HMR (`pooled`).  No torch.
"""

from staf_backend.staf.config import AnyConfig, PooledConfig, StafConfig

TABLE_IV = {
    "base": StafConfig(average_target=False, tcfm_stage=None, safm_stage=None),
    "base + APM": StafConfig(tcfm_stage=None, safm_stage=None),
    "base + STAF": StafConfig(average_target=False),
    "base + STAF + APM": StafConfig(),
}
"""What each part brings: configurations by the paper's names."""

TABLE_V = {
    "HMR": PooledConfig(),
    "HMR + HAFI": PooledConfig("HAFI"),
    "HMR + APM": PooledConfig("APM"),
    "MPS-Net without HAFI": PooledConfig(moca=True),
    "MPS-Net with HAFI": PooledConfig("HAFI", moca=True),
    "MPS-Net with APM": PooledConfig("APM", moca=True),
}
"""Fusions on pooled features: configurations of `pooled.PooledNetwork` by name."""

TABLE_VI = {
    "TCFM1": StafConfig(tcfm_stage=1, safm_stage=None),
    "TCFM1 + SAFM1": StafConfig(tcfm_stage=1, safm_stage=1),
    "TCFM1 + SAFM2": StafConfig(tcfm_stage=1, safm_stage=2),
    "TCFM1 + SAFM3": StafConfig(tcfm_stage=1, safm_stage=3),
    "TCFM2": StafConfig(tcfm_stage=2, safm_stage=None),
    "TCFM2 + SAFM2": StafConfig(tcfm_stage=2, safm_stage=2),
    "TCFM2 + SAFM3": StafConfig(tcfm_stage=2, safm_stage=3),
    "TCFM3": StafConfig(tcfm_stage=3, safm_stage=None),
    "TCFM3 + SAFM3": StafConfig(tcfm_stage=3, safm_stage=3),
    "SAFM1": StafConfig(tcfm_stage=None, safm_stage=1),
    "SAFM2": StafConfig(tcfm_stage=None, safm_stage=2),
    "SAFM3": StafConfig(tcfm_stage=None, safm_stage=3),
}
"""Where the fusions stand: the paper's twelve, all with APM, SAFM never before TCFM."""

_FRAMES = 9
"""Of the paper's windows."""


def configuration_name(config: AnyConfig) -> str:
    """What a configuration is called, by the paper's names where it has one.

    Two rows of the paper are one network: "TCFM1 + SAFM2" is called "base + STAF + APM".  A
    network for single frames is "base", which looks at the target alone.
    """
    if isinstance(config, PooledConfig):
        family = {"target": "without HAFI", "HAFI": "with HAFI", "APM": "with APM"}
        plain = {"target": "HMR", "HAFI": "HMR + HAFI", "APM": "HMR + APM"}
        name = f"MPS-Net {family[config.integration]}" if config.moca else plain[config.integration]
    else:
        name = _staf_name(config)
    alone = name in ("base", "HMR")
    return name if alone or config.frames == _FRAMES else f"{name}, {config.frames} frames"


def _staf_name(config: StafConfig) -> str:
    places = {"TCFM": config.tcfm_stage, "SAFM": config.safm_stage}
    fusions = " + ".join(f"{name}{stage}" for name, stage in places.items() if stage)
    if not fusions:
        name = "base + APM" if config.average_target else "base"
    elif fusions == "TCFM1 + SAFM2":
        name = "base + STAF + APM" if config.average_target else "base + STAF"
    else:
        name = fusions if config.average_target else f"{fusions} without APM"
    return name if config.windows_apart else f"{name}, batches mixed as the authors' code does"
