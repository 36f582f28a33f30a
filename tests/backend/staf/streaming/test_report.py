"""The network's size and cost, counted, against the sums one can do by hand."""

import pytest

from staf_backend.staf import StafConfig
from staf_backend.staf.streaming.report import NetworkReport, describe_network


@pytest.fixture(scope="module")
def paper() -> NetworkReport:
    return describe_network()


def test_the_papers_parameters(paper: NetworkReport) -> None:
    assert paper.parameters == 55_496_067
    assert paper.parameters_as_published == 55_511_811
    counts = {part.name: part.parameters for part in paper.parts}
    assert counts["encoder"] == 23_508_032
    assert counts["deconvolutions"] == 10_487_296
    assert counts["TCFM"] == 9_719_642
    assert counts["SAFM"] == 815_363
    assert counts["point MLPs"] == 3 * 59_141
    assert counts["regressors"] == 3_630_237 + 2 * 3_579_037


def test_the_windowed_cost_is_what_the_layers_sum_to(paper: NetworkReport) -> None:
    costs = {part.name: part.multiply_adds for part in paper.parts}
    deconv = 256 * 16 * (9 * 2048 * 49 + 9 * 256 * 196 + 256 * 784)
    assert costs["deconvolutions"] == deconv
    assert costs["point MLPs"] == 58_944 * (9 * 441 + 9 * 431 + 431)
    assert costs["encoder"] == pytest.approx(4.087e9, rel=2e-3)
    assert costs["TCFM"] == pytest.approx(4 * 2205 * 1102 * 9, rel=0.01)


def test_streaming_costs_little_more_than_half(paper: NetworkReport) -> None:
    assert paper.streamed_multiply_adds is not None
    assert paper.multiply_adds == pytest.approx(11.1e9, rel=0.01)
    assert paper.streamed_multiply_adds < 0.55 * paper.multiply_adds


def test_the_table_names_every_part(paper: NetworkReport) -> None:
    table = "\n".join(paper.lines())
    for word in ("encoder", "TCFM", "SAFM", "regressors", "55,511,811", "streamed"):
        assert word in table


def test_other_configurations_are_counted_too() -> None:
    base = describe_network(StafConfig(tcfm_stage=None, safm_stage=None))
    assert base.parameters == 55_496_067 - 9_719_642 - 815_363
    assert base.streamed_multiply_adds is None
