"""Score a network by the field's protocols, beside the paper's numbers; regenerate its tables.

    python -m training.evaluate WEIGHTS --data 3dpw=FOLDER --data mpii3d=FOLDER \\
        --regressor J_regressor_h36m.npy --out SCORES
    python -m training.evaluate WEIGHTS --body open-neutral --data synthetic:50:7 --out SCORES
    python -m training.evaluate WEIGHTS --table 1 --data 3dpw=FOLDER ... --out SCORES
    python -m training.evaluate WEIGHTS --table 2 --out SCORES
    python -m training.evaluate --table 4 --data 3dpw=FOLDER ... --out SCORES \\
        -- --run RUN1 --data-3d SPEC ... (any options of training.stage_video: the one recipe)

WEIGHTS is a folder or an installed name of weights, or a run of stage 2.  --data names a protocol
(3dpw, h36m, mpii3d, synthetic) and a prepared set's folder, a feature cache's folder or
"synthetic[:count[:seed]]".  Tables 1 (3dpw, mpii3d) and 3 (h36m) compare given weights with other
methods, table 2 compares sizes; every row of tables 4, 5 and 6 is trained by the recipe first, into
--out, and what is there is not done again.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from staf_backend.body import load_body
from staf_backend.devices import choose_device
from staf_backend.files import make_folder, sha256
from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.body import BodyTables, tables_from_body
from staf_backend.staf.encoders import AnyEncoder
from staf_backend.staf.streaming import StreamEdges
from staf_backend.weights import INFO_FILE, read_info
from staf_backend.weights.store import load_weights
from training.command import command_line
from training.data.feature_cache import FeatureCache
from training.data.sources import is_synthetic, open_sequences
from training.run import RUN_FILE, Base, describe, load_network, same_body
from training.scoring import (
    PROTOCOLS,
    CachedVideos,
    EvaluationError,
    Protocol,
    ScoredPoints,
    SetScores,
    SourceVideos,
    Videos,
    check_body,
    make_recoverer,
    protocol_of,
    read_regressor,
    write_scores,
)
from training.scoring.paper_tables import (
    ABLATIONS,
    COMPARISONS,
    ROMAN,
    TABLES,
    set_table,
    size_table,
)
from training.scoring.scoring import score
from training.table_runs import TableRun
from training.targets import CROP_SCALE


@dataclass(frozen=True)
class Network:
    """What is scored.  Without an encoder only feature caches can be; `crop_factor` is the side of
    the crop over that of the person's box."""

    name: str
    network: AnyNetwork
    encoder: AnyEncoder | None
    tables: BodyTables
    crop_factor: float = CROP_SCALE


@dataclass(frozen=True)
class Options:
    """What a score needs besides network and set.

    Attributes:
        regressor: (17, V) of H36M.
        gendered: bodies by gender, for labels of them.
        device: where networks and bodies run.
        batch: frames at once.
    """

    regressor: np.ndarray | None = None
    gendered: tuple[tuple[str, BodyTables], ...] = ()
    device: str = "auto"
    batch: int = 8

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch must be positive, not {self.batch}")


def evaluate(
    network: Network, videos: Videos, protocol: Protocol, options: Options | None = None
) -> SetScores:
    """Scores of a network on one set; memory does not grow with the set.

    Raises:
        EvaluationError: labels, body, regressor or encoder do not fit, or nothing can be scored.
        ScoreError: a prediction is not a number.
        DeviceError: the device is absent.
    """
    options = options or Options()
    check_body(videos.body, network.tables.name, protocol, videos.name)
    _check_maps(network, videos)
    device = choose_device(options.device)
    points = ScoredPoints(
        network.tables,
        protocol,
        regressor=options.regressor,
        gendered=dict(options.gendered),
        device=device,
    )
    recoverer = make_recoverer(
        network.network,
        network.encoder,
        edges=protocol.edges,
        device=str(device),
        batch=options.batch,
    )
    return score(videos, recoverer, points)


def _check_maps(network: Network, videos: Videos) -> None:
    if videos.channels is None:
        if network.encoder is None:
            raise EvaluationError(
                f"{network.name} comes without an encoder.", "Give the set as a feature cache."
            )
        return
    needed = network.network.config.map_channels
    if videos.channels != needed:
        raise EvaluationError(
            f"{videos.name} is kept as maps of {videos.channels} channels, {network.name} reads "
            f"{needed}.",
            "Make the cache with the network's encoder.",
        )


def open_network(words: str, body: str | None) -> Network:
    """The network that a command line names.

    Args:
        words: folder or installed name of weights, or folder of a run of stage 2.
        body: for weights that hold none.

    Raises:
        WeightsError, RunError, BodyError: it cannot be read, or its body is not there.
        EvaluationError: there is no such folder.
    """
    path = Path(words)
    if (path / RUN_FILE).is_file() and not (path / "weights" / INFO_FILE).is_file():
        network = load_network(path)
        tables = _tables(same_body(path, describe(path)["config"]["body"], body or ""))
        return Network(words, network, None, tables)
    if (path / RUN_FILE).is_file():
        path = path / "weights"
    known = (path / INFO_FILE).is_file()
    if not known and len(path.parts) > 1:
        empty = path.is_dir()
        there = f"{path} holds no weights." if empty else f"There is no folder {path}."
        raise EvaluationError(there, "Give a folder of weights or a run.")
    info = read_info(path.name, path.absolute().parent) if known else read_info(words)
    if body and info.body:
        same_body(path, info.body, body)
    loaded = load_weights(
        path.name if known else words,
        root=path.absolute().parent if known else None,
        body=load_body(body) if body else None,
    )
    return Network(words, loaded.network, loaded.encoder, loaded.tables, info.crop_factor)


def _tables(body: str) -> BodyTables:
    return tables_from_body(load_body(body))


def open_videos(spec: str, encoder: AnyEncoder | None, recipe: Path | None = None) -> Videos:
    """The videos of a prepared set, a feature cache or synthetic data.

    Raises:
        StafError: the set cannot be opened, or the cache was made with another encoder.
    """
    if not is_synthetic(spec) and (Path(spec) / "maps.safetensors").is_file():
        return CachedVideos(FeatureCache.open(Path(spec), encoder))
    return SourceVideos(open_sequences(spec, recipe=recipe))


def named_data(words: str) -> tuple[str, str]:
    """Protocol and specification of "3dpw=FOLDER" or "synthetic[...]".

    Raises:
        EvaluationError: no protocol of that name.
    """
    name, equals, spec = words.partition("=")
    if not equals:
        name, spec = words.partition(":")[0], words
    protocol_of(name)
    return name, spec


def arguments() -> argparse.ArgumentParser:
    """The command line's options, but for a table's recipe."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("weights", nargs="?", help="folder or name of weights, or a run of stage 2")
    parser.add_argument("--data", action="append", default=[], metavar="[PROTOCOL=]SPEC")
    parser.add_argument("--out", type=Path, required=True, help="folder of tables and JSON")
    parser.add_argument("--table", type=int, choices=TABLES, help="of the paper")
    parser.add_argument("--body", help="of weights without a body")
    parser.add_argument("--recipe", type=Path, help="of synthetic data")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=8, help="frames at once")
    protocol = parser.add_argument_group("departures from the set's protocol")
    protocol.add_argument("--regressor", type=Path, help="J_regressor_h36m.npy")
    protocol.add_argument("--no-regressor", action="store_true", help="the 49's own fourteen")
    protocol.add_argument("--truth", choices=("body", "joints"), help="posed labels, or joints")
    protocol.add_argument("--no-vertices", action="store_true", help="without PVE")
    protocol.add_argument("--gender", choices=("neutral", "labelled"), help="of the true body")
    protocol.add_argument("--gendered", action="append", default=[], metavar="GENDER=BODY")
    protocol.add_argument("--edges", choices=get_args(StreamEdges), help="of windows at the ends")
    protocol.add_argument(
        "--authors",
        action="store_true",
        help="as their validate: joins between "
        "videos count, valid flags do not, short videos are skipped",
    )
    return parser


def _protocol(name: str, options: argparse.Namespace) -> Protocol:
    protocol = PROTOCOLS[name]
    changes: dict[str, Any] = {
        key: value
        for key in ("truth", "gender", "edges")
        if (value := getattr(options, key)) is not None
    }
    if options.no_regressor:
        changes["regressor"] = False
    if options.no_vertices:
        changes["vertices"] = False
    protocol = replace(protocol, **changes)
    return protocol.as_the_authors() if options.authors else protocol


def _options(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Options:
    gendered = []
    for words in options.gendered:
        gender, equals, body = words.partition("=")
        if not equals or gender not in ("neutral", "male", "female"):
            parser.error(f"--gendered {words!r}: write male=BODY")
        gendered.append((gender, _tables(body)))
    regressor = None if options.regressor is None else read_regressor(options.regressor)
    if options.batch < 1:
        parser.error("--batch must be positive")
    return Options(regressor, tuple(gendered), options.device, options.batch)


def _evaluate_weights(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    network = open_network(options.weights, options.body)
    settings = _options(options, parser)
    for words in options.data:
        _check_table(named_data(words)[0], options.table)
    make_folder(options.out)  # not only after the scoring
    texts, content = [], []
    for words in options.data:
        name, spec = named_data(words)
        protocol = _protocol(name, options)
        videos = open_videos(spec, network.encoder, options.recipe)
        scores = evaluate(network, videos, protocol, settings)
        texts.append(set_table(scores, network.name, name, options.table))
        content.append({"data": words, "protocol": asdict(protocol), **asdict(scores)})
        told = {"weights": options.weights, "sets": content}
        write_scores(options.out, "scores", "\n".join(texts), told)
    print("\n".join(texts))


def _check_table(protocol: str, table: int | None) -> None:
    if table in COMPARISONS and protocol not in COMPARISONS[table]:
        known = ", ".join(COMPARISONS[table])
        raise EvaluationError(
            f"Table {ROMAN[table]} of the paper has no rows for {protocol}.",
            f"Give data of {known}, or leave --table out.",
        )


def _write_sizes(options: argparse.Namespace) -> None:
    """Table II: as `staf info --network` counts, and the bytes of the tensors as they are read."""
    network = open_network(options.weights, options.body)
    make_folder(options.out)
    modules = [one for one in (network.encoder, network.network) if one is not None]
    tensors = [tensor for module in modules for tensor in module.parameters()]
    parameters = sum(tensor.numel() for tensor in tensors)
    size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    text = size_table(network.name, parameters, size_bytes)
    told = {"weights": options.weights, "parameters": parameters, "bytes": size_bytes}
    write_scores(options.out, "table-2", text, told)
    print(text)


def _train_table(
    options: argparse.Namespace, recipe: list[str], parser: argparse.ArgumentParser
) -> None:
    if len(options.data) != 1:
        parser.error("tables 4, 5 and 6 are of one set: give one --data")
    name, spec = named_data(options.data[0])
    protocol, settings = _protocol(name, options), _options(options, parser)
    words = [*recipe, *options.data, *_deciding(options, protocol)]
    run = TableRun(options.table, options.out, name, words)

    def scored(folder: Path, base: Base) -> SetScores:
        """Of the best state: a weights folder there may be of an earlier pause."""
        network = Network(str(folder), load_network(folder), None, _tables(base.body))
        videos = CachedVideos(run.kept_maps(spec, base, options.recipe, options.device))
        return evaluate(network, videos, protocol, settings)

    print(run.complete(recipe, scored))


def _deciding(options: argparse.Namespace, protocol: Protocol) -> list[str]:
    """What else a table's numbers depend on, in words."""
    files = [file for file in (options.recipe, options.regressor) if file is not None]
    try:
        digests = [sha256(file) for file in files]
    except OSError as error:
        raise EvaluationError(f"{error.filename} cannot be read.", "Check the path.") from error
    return [json.dumps(asdict(protocol), sort_keys=True), *options.gendered, *digests]


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    given = list(sys.argv[1:] if argv is None else argv)
    cut = given.index("--") if "--" in given else len(given)
    parser = arguments()
    options, recipe = parser.parse_args(given[:cut]), given[cut + 1 :]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EvaluationError("An evaluation is one process.", "Start it without torchrun.")
    if not options.data and options.table != 2:
        parser.error("there is nothing to score on: --data")
    if options.table in ABLATIONS:
        if options.weights or not recipe:
            parser.error(
                f"table {options.table} trains its networks: give no WEIGHTS, and after "
                "-- the recipe, options of training.stage_video"
            )
        _train_table(options, recipe, parser)
        return
    if not options.weights or recipe:
        parser.error("give WEIGHTS, and no recipe")
    if options.table == 2:
        _write_sizes(options)
        return
    _evaluate_weights(options, parser)


if __name__ == "__main__":
    sys.exit(command_line(main))
