"""The benchmarks measure what they say: tiny layers, planted faults, and numbers done by hand."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from math import prod
from pathlib import Path
from random import Random

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.agreement import disagreements
from benchmarks.commandline import parser
from benchmarks.drawn import FAMILIES, draw
from benchmarks.factors import FORMS, operands, result
from benchmarks.frameworks import PAIRS, ours
from benchmarks.kfac import Run, reached
from benchmarks.layers import (
    ALL_GRADIENTS,
    BACKWARD,
    CASES,
    CONVOLUTIONS,
    FACTORISED,
    FORWARD,
    NETWORK_STEPS,
    WEIGHT_GRADIENT,
    Convolution,
    Drawn,
    Factorised,
    Measurement,
    NetworkStep,
    Pooling,
    Product,
    Training,
    from_json,
    measurements,
    to_json,
)
from benchmarks.memory import im2col, tiny
from benchmarks.operands import Array
from benchmarks.peers import OURS, PEERS, Peer
from benchmarks.probes import timed
from benchmarks.process import ROOT, PeerProcess
from benchmarks.report import (
    comparison,
    means,
    means_of_factorised,
    means_of_steps,
    report,
    shortfalls,
    times,
)
from benchmarks.results import FASTER_TORCH, TORCH, Record, Results, Turn
from benchmarks.scaling import series
from benchmarks.session import Effort, Session
from benchmarks.steps import NETWORKS, network
from benchmarks.steps.network import drawn, movements
from benchmarks.sweep import choices, distribution, forced, slowest, worst

LAYERS: list[Convolution | Pooling | Training] = [
    Convolution(2, 9, 7, 3, 4, 3, padding=1),
    Convolution(2, 9, 7, 3, 4, 5, stride=2, padding=2),
    Convolution(2, 9, 7, 2, 4, 3, padding=2, dilation=2),
    Convolution(2, 9, 7, 4, 6, 3, stride=2, groups=2),
    Convolution(2, 9, 7, 4, 4, 3, padding=1, groups=4),
    Convolution(2, 9, 7, 1, 3, 5, padding=2),
    Convolution(2, 9, 7, 3, 4, 1),
    Pooling("max", 2, 9, 7, 3, 2, stride=2),
    Pooling("max", 2, 9, 7, 3, 3, stride=2),
    Pooling("mean", 2, 9, 7, 3, 2, stride=2),
    Pooling("mean", 2, 9, 7, 3, 3, stride=2),
    Training(3),
]
STEPS = [
    NetworkStep("LeNet-5", batch=3, side=28, width=12),
    NetworkStep("AlexNet", batch=2, side=67, width=16),
    NetworkStep("U-Net", batch=2, side=8, width=4),
    NetworkStep("ResNet block", batch=2, side=6, width=4),
    NetworkStep("MobileNetV2 block", batch=2, side=6, width=4),
    NetworkStep("transformer", batch=2, side=8, width=16),
]
FACTORED = "factorised convolutions"
FACTORS = [Factorised(form, 2, 7, 3, 4, 5) for form in FORMS]
AXES = ((3, 2), (2, 1), (1, 0), (1, 2))  # kernel, stride, padding, dilation
DRAWN: list[Drawn | Product] = [
    Drawn("", 2, (9, 7), 3, 4, *AXES),
    Drawn("", 2, (9, 7), 6, 4, *AXES, groups=2, channels_first=True),
    Drawn("", 2, (9, 7), 4, 8, *AXES, groups=4),
    Drawn("", 2, (9, 7), 4, 4, *AXES, groups=4, channels_first=True, dtype="float64"),
    Drawn("", 2, (5, 7), 3, 4, (3, 2), (2, 1), (1, 0), (1, 1), transposed=True),
    Drawn("", 2, (11,), 3, 4, (3,), (2,), (1,), (2,)),
    Drawn("", 2, (4, 5, 6), 3, 2, (2, 3, 1), (1, 2, 1), (0, 1, 0), (1, 1, 1)),
    Product("", "b h i d, b h j d -> b h i j", ((2, 3, 4, 5), (2, 3, 6, 5))),
    Product("", "a i b j, j c i d -> a b c d", ((2, 3, 4, 5), (5, 2, 3, 6)), "float64"),
]
LAYER = Measurement(LAYERS[0], FORWARD)
BRIEF = Effort(rounds=2, seconds=0.001)


# --- what is measured ------------------------------------------------------------------------


def test_there_are_45_measurements_of_convolutions() -> None:
    assert len(measurements(CONVOLUTIONS)) == 45
    assert len(measurements(CASES)) == 45 + 8 + 1
    assert len(set(map(str, measurements(CASES)))) == 54


def test_sizes_are_those_of_the_literature() -> None:
    by_name = {case.name: case for case in CONVOLUTIONS}
    assert by_name["AlexNet conv1"].output_shape == (4, 55, 55, 96)
    assert by_name["ResNet stem"].output_shape == (8, 112, 112, 64)
    assert by_name["dilated"].output_shape == (8, 56, 56, 64)
    assert by_name["LeNet conv2"].flops == 2 * 64 * 10 * 10 * 5 * 5 * 6 * 16
    assert by_name["grouped"].flops == 2 * 8 * 28 * 28 * 9 * 32 * 128
    assert im2col(by_name["LeNet conv2"]) == 4 * 64 * 100 * 150


@pytest.mark.parametrize(
    "measurement", measurements([*CASES, *NETWORK_STEPS, *FACTORISED, *DRAWN]), ids=str
)
def test_a_measurement_survives_the_pipe(measurement: Measurement) -> None:
    assert from_json(json.loads(json.dumps(to_json(measurement)))) == measurement


def test_a_tiny_layer_differs_in_size_alone() -> None:
    for case in CONVOLUTIONS:
        small = tiny(case)
        assert isinstance(small, Convolution)
        assert small.output_shape[:3] <= case.output_shape[:3]
        assert min(small.output_shape) > 0
        assert (small.weight_shape, small.stride) == (case.weight_shape, case.stride)


# --- all peers compute the same --------------------------------------------------------------


def result_of(
    name: str, measurement: Measurement, peers: Mapping[str, Peer] = PEERS
) -> Array | None:
    """What a peer computes, in this process."""
    module = import_module(peers[name].module)
    function = module.KINDS.get(type(measurement.case))
    prepared = function and function(measurement.case, measurement.direction, **peers[name].options)
    return prepared and np.array(prepared.array(prepared.run()))


@pytest.mark.parametrize("measurement", measurements(LAYERS), ids=str)
def test_all_peers_agree(measurement: Measurement) -> None:
    for module in ("torch", "jax", "einconv", "scipy"):
        pytest.importorskip(module)
    given = {name: result_of(name, measurement) for name in PEERS}
    results = {name: result for name, result in given.items() if result is not None}
    assert disagreements(results, 1e-5) == {}
    assert {OURS, "torch channels-last", "torch channels-first"} <= set(results)
    if not isinstance(measurement.case, Training):
        assert {"jax", "numpy"} <= set(results)


@pytest.mark.parametrize("measurement", measurements(DRAWN), ids=str)
def test_drawn_layers_are_those_of_torch(measurement: Measurement) -> None:
    pytest.importorskip("torch")
    given = {name: result_of(name, measurement) for name in (OURS, *TORCH)}
    results = {name: result for name, result in given.items() if result is not None}
    assert len(results) > 1
    assert disagreements(results, 1e-5) == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_drawn(family: str) -> None:
    found = {draw(Random(seed), [family]) for seed in range(5)}
    assert len(found) > 1
    for layer in found:
        assert min(layer.output_shape) > 0
        assert draw(Random(1), [family]) == draw(Random(1), [family])


def test_a_sweep_says_what_fell_behind_and_why() -> None:
    measured = [Measurement(DRAWN[0], direction) for direction in DRAWN[0].directions]
    times = {OURS: 2.0, TORCH[0]: 1.0, forced("direct"): 2.0, forced("toom-cook"): 1.5}
    slow = Record(measured[0], {name: [Turn(t, 0)] for name, t in times.items()})
    fast = Record(measured[1], {OURS: [Turn(1.0, 0)], TORCH[0]: [Turn(8.0, 0)]})
    assert "| all " in distribution([slow, fast])
    assert re.search(r"\| all +\| 2 +\| 2.00 +\| .* \| 0.50", distribution([slow, fast]))
    assert worst([fast, slow]) == [slow, fast]
    told = choices([slow, fast])
    assert "in 0 of 1 measurements" in told
    assert re.search(r"direct +\| toom-cook +\| 1.33", told)
    table = slowest(Results({}, records=[fast, slow]))
    assert "matmul on windows" in table


@pytest.mark.parametrize(
    "measurement", measurements([c for c in LAYERS if isinstance(c, Convolution)]), ids=str
)
def test_strings_on_arrays_of_peers_agree_with_them(measurement: Measurement) -> None:
    for module in ("torch", "jax"):
        pytest.importorskip(module)
    for name in PAIRS:
        results = {name: result_of(name, measurement)}
        results[ours(name)] = result_of(name, measurement, PAIRS)
        assert disagreements({n: r for n, r in results.items() if r is not None}, 1e-5) == {}


@pytest.mark.parametrize("measurement", measurements(STEPS), ids=str)
def test_all_peers_take_the_same_step(measurement: Measurement) -> None:
    for module in ("torch", "jax"):
        pytest.importorskip(module)
    assert disagreements(results_of_all(measurement), 1e-4) == {}


@pytest.mark.parametrize("measurement", measurements(FACTORS), ids=str)
def test_all_peers_agree_on_factors(measurement: Measurement) -> None:
    for module in ("torch", "jax"):
        pytest.importorskip(module)
    found = results_of_all(measurement)
    assert disagreements(found, 1e-5) == {}
    assert isinstance(measurement.case, Factorised)
    compared = [result(measurement.case)]
    if measurement.direction == ALL_GRADIENTS:
        compared += operands(measurement.case).values()
    # All numbers of each array, and its scale.
    assert found[OURS].shape == (sum(1 + prod(operand.shape) for operand in compared),)


def results_of_all(measurement: Measurement) -> dict[str, Array]:
    """What the peers of whole programs compute; each of them can."""
    peers = (OURS, "torch channels-last", "torch channels-first", "jax")
    results = {name: result_of(name, measurement) for name in peers}
    found = {name: result for name, result in results.items() if result is not None}
    assert len(found) == len(peers)
    return found


def test_every_network_is_measured() -> None:
    assert {case.network for case in NETWORK_STEPS} == {case.network for case in STEPS}
    assert {case.network for case in STEPS} == set(NETWORKS)


def test_every_form_of_factors_is_measured() -> None:
    assert {case.form for case in FACTORISED} == set(FORMS)


def test_a_wrong_gradient_is_found_out_beside_large_ones() -> None:
    net = network(STEPS[-1])
    start, slopes = drawn(net.parameters, 0), drawn(net.parameters, 1)
    slopes["W_2"] *= np.float32(1e3)
    right = movements(1.0, start, {n: w - slopes[n] for n, w in start.items()}, 1)
    for wrong in (1.1 * slopes["b_1"], slopes["b_1"][::-1]):
        after = {n: w - (slopes | {"b_1": wrong})[n] for n, w in start.items()}
        found = {"right": right, "wrong": movements(1.0, start, after, 1)}
        assert set(disagreements(found)) == {"right", "wrong"}


# --- rounds ----------------------------------------------------------------------------------

PLANTED = """
import os
import numpy as np
from benchmarks.layers import Convolution
from benchmarks.peers import Prepared

def start(threads):
    return "1.0"

def convolution(case, direction, last="1", deed=""):
    print("a library may print what it likes")
    if deed == "raise":
        raise ValueError("no such kernel")
    if deed == "die" and case.stride == 1:
        os._exit(3)
    result = np.ones(case.output_shape, np.float32)
    result[-1, -1, -1, -1] = float(last)
    return Prepared(lambda: result, np.asarray)

KINDS = {Convolution: convolution}
"""


@pytest.fixture
def planted(tmp_path: Path) -> dict[str, Peer]:
    """Peers of which the first two are right."""
    (tmp_path / "planted.py").write_text(PLANTED)

    def peer(**options: str) -> Peer:
        return Peer("planted", options, {"PYTHONPATH": str(tmp_path)})

    return {
        "right": peer(),
        "right, too": peer(last="1.0001"),
        "wrong": peer(last="1.01"),
        "raising": peer(deed="raise"),
        "dying": peer(deed="die"),
        "missing": Peer("no_such_library"),
    }


@pytest.fixture
def session(planted: dict[str, Peer]) -> Iterator[Session]:
    with Session(planted, threads=1) as session:
        yield session


def test_every_peer_has_its_turn_in_every_round(session: Session) -> None:
    record = session.measured(LAYER, ["right", "right, too"], BRIEF)
    assert {name: len(r) for name, r in record.rounds.items()} == {"right": 2, "right, too": 2}
    assert all(turn.seconds > 0 for turns in record.rounds.values() for turn in turns)
    assert record.failures == {}
    assert session.versions == {"right": "1.0", "right, too": "1.0"}


def test_one_wrong_element_is_found_out(session: Session) -> None:
    record = session.measured(LAYER, ["right", "wrong", "right, too"], BRIEF)
    assert set(record.rounds) == {"right", "right, too"}
    assert record.failures["wrong"].startswith("differs from right by 0.0099, from right, too by")


def test_of_two_that_disagree_neither_is_believed(session: Session) -> None:
    assert set(session.measured(LAYER, ["right", "wrong"], BRIEF).failures) == {"right", "wrong"}


def test_a_failure_stops_nobody_else(session: Session) -> None:
    names = ["raising", "dying", "missing", "right"]
    record = session.measured(LAYER, names, BRIEF)
    assert set(record.rounds) == {"right"}
    assert record.failures == {
        "raising": "ValueError: no such kernel",
        "dying": "the process ended with status 3",
    }
    assert "no_such_library" in session.missing["missing"]
    # Who died is started again.
    other = Measurement(LAYERS[1], FORWARD)
    assert set(session.measured(other, ["dying"], BRIEF).rounds) == {"dying"}


def test_the_same_question_can_be_asked_twice(session: Session) -> None:
    for _ in range(2):
        assert session.measured(LAYER, ["right"], BRIEF).failures == {}


def test_what_a_peer_cannot_do_is_no_failure(session: Session) -> None:
    pooling = Measurement(LAYERS[7], FORWARD)
    assert session.measured(pooling, ["right"], BRIEF) == Record(pooling)


def cpu_seconds(pid: int) -> float:
    """How long a process has been busy, in ticks of the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return float(fields[11]) + float(fields[12])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_peer_that_waits_uses_no_processor(tmp_path: Path) -> None:
    with PeerProcess(PEERS["numpy"], threads=2) as process:
        process.time(LAYER, 0.05, tmp_path / "result.npy")
        time.sleep(0.1)
        before = cpu_seconds(process.pid)
        time.sleep(0.4)
        assert cpu_seconds(process.pid) - before <= 1


# --- probes ----------------------------------------------------------------------------------


def test_a_call_is_timed_alone() -> None:
    answer = timed(lambda: time.sleep(0.01), 0.05)
    # A busy machine may wake us late, but never early.
    assert 0.01 <= answer["seconds"] < 0.1
    assert 1 <= answer["calls"] <= 5


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux's /proc")
def test_foreign_work_is_noticed() -> None:
    command = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command) as other:
        try:
            foreign = timed(lambda: time.sleep(0.01), 0.3)["foreign"]
        finally:
            other.kill()
    assert foreign > 0.2


PEAKS = """
import numpy as np
from benchmarks.peers import Prepared
from benchmarks.probes import peak_growth

def run():
    temporary = np.ones(32_000_000, np.float32)  # 128 MB, beside which nothing else counts
    return np.add(temporary[:4_000_000], 1)

print(peak_growth(Prepared(run, np.asarray)))
print(peak_growth(Prepared(lambda: np.ones(4_000_000, np.float32), np.asarray)))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_the_peak_is_what_a_call_takes_beyond_its_result() -> None:
    # In a process of its own, as it is used: of one that has much in memory that it does not
    # use, the system may take some away meanwhile.
    ran = subprocess.run(
        [sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True, cwd=ROOT
    )
    beyond, in_place = map(int, ran.stdout.split())
    assert beyond == pytest.approx(128e6, rel=0.05)
    assert in_place < 2e6


# --- reports ---------------------------------------------------------------------------------


def record(measurement: Measurement, **seconds: float) -> Record:
    """One calm turn for each peer; torch's layouts are `last` and `first`."""
    names = {"ours": OURS, "last": "torch channels-last", "first": "torch channels-first"}
    return Record(measurement, {names.get(n, n): [Turn(s, 0.0)] for n, s in seconds.items()})


WIDE = Measurement(CONVOLUTIONS[6], FORWARD)
NARROW = Measurement(CONVOLUTIONS[0], WEIGHT_GRADIENT)
POOL = Measurement(LAYERS[7], BACKWARD)
RESULTS = Results(
    {"sources": "old"},
    versions={"jax": "1.2"},
    missing={"einconv": "No module named 'einconv'"},
    peaks={"numpy": 1e12, "torch channels-last": 2e12},
    records=[
        record(WIDE, ours=0.01, last=0.012, first=0.02, jax=0.04),
        record(NARROW, ours=0.01, last=0.0075, first=0.003, jax=0.01),
        record(POOL, ours=0.01, last=0.02, first=0.03),
    ],
)


def row(text: str, start: str) -> list[str]:
    """The cells of the line of a table that starts so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_times_and_ratios() -> None:
    text = times(RESULTS)
    head = ["direction", f"{OURS}, ms", "of peak", FASTER_TORCH, *list(PEERS)[2:4], "jax"]
    assert row(text, "case")[1:] == head
    # 2·8·56²·9·64² operations in 10 ms, of 2e12 a second.
    cells = ["forward", "10.0", "9%", "1.20", "1.20", "2.00", "4.00"]
    assert row(text, "8x56x56x64-64 k3 p1 ")[1:] == cells
    cells = ["weight gradient", "10.0", "14%", "0.30", "0.75", "0.30", "1.00"]
    assert row(text, "8x100x100x32-64 k3 ")[1:] == cells
    assert row(text, "max pooling")[3:] == ["", "2.00", "2.00", "3.00", ""]


def test_means_are_geometric_and_over_convolutions() -> None:
    text = means(RESULTS)
    assert row(text, FASTER_TORCH)[1:] == ["0.60", "2"]
    assert row(text, "torch channels-last")[1:] == ["0.95", "2"]
    assert row(text, "jax")[1:] == ["2.00", "2"]


def test_means_of_steps_count_what_was_disturbed() -> None:
    steps = [record(Measurement(case, "step"), ours=0.01, last=0.02) for case in STEPS[:2]]
    assert row(means_of_steps(Results({}, records=steps)), FASTER_TORCH)[1:] == ["2.00", "2"]
    steps[0].rounds[OURS] = [Turn(0.04, 0.9)]
    assert row(means_of_steps(Results({}, records=steps)), FASTER_TORCH)[1:] == ["~1.00", "2"]


def test_means_of_factors_are_those_of_a_direction() -> None:
    made = [
        record(Measurement(case, direction), ours=0.01, last=seconds)
        for case in FACTORS[:2]
        for direction, seconds in ((FORWARD, 0.02), (ALL_GRADIENTS, 0.03))
    ]
    texts = means_of_factorised(Results({}, records=made)).split("\n\n")
    assert [row(text, FACTORED)[0] for text in texts] == [
        f"{FACTORED}, {direction}, against" for direction in (FORWARD, ALL_GRADIENTS)
    ]
    assert [row(text, FASTER_TORCH)[1:] for text in texts] == [["2.00", "2"], ["3.00", "2"]]
    assert means_of_factorised(RESULTS) == ""


def test_what_falls_short_is_listed() -> None:
    text = shortfalls(RESULTS.records)
    assert row(text, str(WIDE))[1:] == ["1.20", "1.3"]
    assert row(text, str(NARROW))[1:] == ["0.30", "0.6"]
    assert "pooling" not in text
    assert shortfalls([record(WIDE, ours=1, last=1.31)]) == ""


def test_complaints_are_part_of_the_report() -> None:
    bad = Record(WIDE, {"jax": [Turn(1, 0.9)]}, {"numpy": "differs"})
    text = report(Results({}, missing={"einconv": "not there"}, records=[bad]))
    assert "- einconv is not installed: not there" in text
    assert f"- {WIDE}: numpy has no figure: differs" in text


def test_a_disturbed_figure_is_marked_and_does_not_count() -> None:
    busy = record(WIDE, ours=0.01, last=0.001)
    busy.rounds["torch channels-last"] = [Turn(0.001, 0.9)]
    results = Results({}, records=[busy])
    assert row(times(results), str(WIDE.case))[-2:] == ["~0.10", "~0.10"]
    assert means(results) == shortfalls([busy]) == ""
    assert "other processes were busy in all rounds of 1 figures" in report(results)
    busy.rounds["torch channels-last"].append(Turn(0.002, 0.0))
    assert row(times(results), str(WIDE.case))[-1] == "0.20"
    assert row(shortfalls([busy]), str(WIDE))[1:] == ["0.20", "1.3"]


def test_two_commits_are_compared() -> None:
    faster = record(WIDE, ours=0.005, last=0.012, first=0.02)
    new = Results({"sources": "new"}, records=[faster, record(LAYER, ours=1)])
    text = comparison(RESULTS, new)
    assert row(text, "old to new")[1:] == ["before, ms", "now, ms", "faster by", "torch by"]
    assert row(text, str(WIDE))[1:] == ["10.0", "5.00", "2.00", "1.00"]
    assert len(text.splitlines()) == 3


def test_scaling_is_a_row_for_each_size() -> None:
    text = series("batch", {1: RESULTS.records[0], 2: RESULTS.records[1]})
    assert row(text, "1 ")[1:] == ["10.0", "12.0", "1.20"]
    assert row(text, "2 ")[1:] == ["10.0", "3.00", "0.30"]


def test_results_survive_a_file(tmp_path: Path) -> None:
    RESULTS.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == RESULTS


def test_an_unknown_peer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser(None, []).parse_args(["--peers", "numpy,abacus"])
    assert "no peer 'abacus'" in capsys.readouterr().err


# --- the command -----------------------------------------------------------------------------


def run(*arguments: str, script: str = "run.py") -> str:
    """Run a command and return what it prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def test_one_command_measures_and_reports(tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "results.md"
    peers = ["--peers", "contractconv,numpy", "--json", str(results), "--markdown", str(page)]
    text = run("--quick", "--cases", "LeNet conv2.*forward", *peers)
    assert re.search(r"matrix product, GFLOP/s: numpy \d+", text)
    cells = row(text, "LeNet conv2 1x14x14x6-16 k5 ")
    assert cells[1] == "forward"
    assert all(float(cell.strip("~%")) >= 0 for cell in cells[2:])
    assert "has no figure" not in text
    assert page.read_text() == text.removesuffix("\n")
    (kept,) = Results.load(results).records
    assert {name: len(turns) for name, turns in kept.rounds.items()} == {OURS: 2, "numpy": 2}


def test_one_command_measures_whole_steps(tmp_path: Path) -> None:
    kept = tmp_path / "steps.json"
    chosen = ("--quick", "--networks", "LeNet-5", "--peers", OURS, "--json", str(kept))
    cells = row(run(*chosen, script="whole_steps.py"), "LeNet-5, batch 1, side 28, width 120")
    assert float(cells[2].strip("~")) > 0
    (found,) = Results.load(kept).records
    assert found.measurement.case == NetworkStep("LeNet-5", 1, 28, 120)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run("--networks", "VGG", script="whole_steps.py")
    assert "no network 'VGG'" in refused.value.stderr


def test_one_command_measures_factors(tmp_path: Path) -> None:
    kept = tmp_path / "factors.json"
    chosen = ("--quick", "--cases", "CP.*64-64.*all", "--peers", OURS, "--json", str(kept))
    cells = row(run(*chosen, script="factorised.py"), "CP 1x56x56x64-64 rank 16")
    assert cells[1] == ALL_GRADIENTS
    assert float(cells[2].strip("~")) > 0
    (found,) = Results.load(kept).records
    assert found.measurement == Measurement(Factorised("CP", 1, 56, 64, 64, 16), ALL_GRADIENTS)


def test_one_command_trains_by_kfac_and_by_adam(tmp_path: Path) -> None:
    found = tmp_path / "kfac.md"
    options = ["--seeds", "1", "--batch", "1000", "--epochs", "2", "--markdown", str(found)]
    command = [sys.executable, str(ROOT / "benchmarks" / "kfac.py"), *options]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode in (0, 1), finished.stderr
    rows = [line.split() for line in found.read_text().splitlines() if line.startswith("| 3 ")]
    assert [row[3:6:2] for row in rows] == [["Adam", "8"], ["KFAC", "4"]]


def test_kfac_has_to_get_as_far_in_no_more_time() -> None:
    def run(loss: float, seconds: float) -> Run:
        return Run("", 1, seconds, [(1, loss)], 0.0)

    adam = run(0.5, 2.0)
    assert reached([(adam, run(0.5, 2.0)), (adam, run(0.4, 1.0))])
    assert not reached([(adam, run(0.6, 1.0))])
    assert not reached([(adam, run(0.4, 2.5))])


def test_results_of_a_file_are_compared_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    old, picture = tmp_path / "old.json", tmp_path / "ratios.png"
    RESULTS.save(old)
    text = run("--results", str(old), "--compare", str(old), "--plot", str(picture))
    assert text.startswith(report(RESULTS))
    assert row(text, str(POOL))[-2:] == ["1.00", "1.00"]
    assert picture.stat().st_size > 5_000


def test_maps_are_measured_against_torch() -> None:
    pytest.importorskip("torch")
    names = ["add", "power 0.1", "gelu backward", "where"]
    few = ["--count", "1000", "--rounds", "1", "--seconds", "0"]
    text = run("--only", ",".join(names), "--dtypes", "float32", *few, script="maps.py")
    lines = text.splitlines()[1:]
    assert sorted(line[:20].strip() for line in lines[:-1]) == sorted(names)
    assert all(float(cell) > 0 for line in lines[:-1] for cell in line.split()[-3:])
    assert lines[-1].startswith("geometric mean")


def test_every_session_in_a_docstring_runs() -> None:
    names = [
        "agreement",
        "factors",
        "layers",
        "lenet",
        "memory",
        "operands",
        "peers",
        "peers.contraction",
        "peers.strings_of_layouts",
        "frameworks",
    ]
    names += ["plot", "report", "results", "run", "steps.network", "steps.strings"]
    results = [doctest.testmod(import_module(f"benchmarks.{name}")) for name in names]
    assert all(result.attempted > 0 and result.failed == 0 for result in results)
