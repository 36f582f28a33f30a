"""How good a network is: the metrics, the protocols of the data sets, the paper's tables."""

from training.scoring.matching import Found, Truth, match_person, nobody, truth_of
from training.scoring.metrics import (
    Frames,
    ScoreError,
    Scores,
    Summary,
    mpjpe_mm,
    pa_mpjpe_mm,
    rooted,
)
from training.scoring.protocols import (
    PROTOCOLS,
    EvaluationError,
    Protocol,
    protocol_of,
    read_regressor,
)
from training.scoring.recoverers import joined_params, make_recoverer
from training.scoring.scored_points import ScoredPoints, check_body
from training.scoring.scoring import CachedVideos, SetScores, SourceVideos, Videos, write_scores
from training.scoring.world_truth import WorldTruth, lowest_m, read_truth, world_scores, write_truth

__all__ = [
    "PROTOCOLS",
    "CachedVideos",
    "EvaluationError",
    "Found",
    "Frames",
    "Protocol",
    "ScoreError",
    "ScoredPoints",
    "Scores",
    "SetScores",
    "SourceVideos",
    "Summary",
    "Truth",
    "Videos",
    "WorldTruth",
    "check_body",
    "joined_params",
    "lowest_m",
    "make_recoverer",
    "match_person",
    "mpjpe_mm",
    "nobody",
    "pa_mpjpe_mm",
    "protocol_of",
    "read_regressor",
    "read_truth",
    "rooted",
    "truth_of",
    "world_scores",
    "write_scores",
    "write_truth",
]
