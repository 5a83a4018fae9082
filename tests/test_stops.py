"""A training that is asked to stop, at any moment, goes on to the weights of one that never was.

More moments than these: SPADE_EDU_STOPS=20 python -m pytest tests/test_stops.py
"""

import os
import random
import signal
import threading
from functools import partial

import pytest
import torch
from apart import NEEDS_FORK, apart
from safetensors.torch import load_file
from torch.nn.modules.module import register_module_forward_hook

from spade_edu.checkpoints import checkpoints
from spade_edu.data.streets import Streets
from spade_edu.presets import preset
from spade_edu.runs.run import Run

STOPS = int(os.environ.get("SPADE_EDU_STOPS", "2"))
IMAGES = 3 * STOPS  # steps of a training: each stop takes up to three
LAYERS = 780  # that a step computes
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
pytestmark = NEEDS_FORK


def make_run(folder, *, style=False, save_every=100):
    config = preset("test", style=style, ema=0.9, images=IMAGES, batch_size=1, epochs=1, epochs_decay=0)
    data = Streets(IMAGES, height=config.height, width=config.width)
    return Run(folder, config, data, data, save_every=save_every)


def signal_after(calls, *numbers):
    """Send this process a signal while it computes its so-many-th layer, further ones right after it."""
    left = [calls]

    def count(*_):
        left[0] -= 1
        if left[0] == 0:
            for number in numbers:
                os.kill(os.getpid(), number)

    register_module_forward_hook(count)


def signal_by_the_clock(seconds, number):
    threading.Timer(seconds, os.kill, (os.getpid(), number)).start()


def training(folder, signals=None, steps=None, **options):
    """Train as a process of its own that takes signals as usual; signals() sends them. Ends with 130 if interrupted."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        if signals:
            signals()
        make_run(folder, **options).train(steps, progress=False)
    except KeyboardInterrupt:
        os._exit(130)
    os._exit(0)  # a timer may still wait


def weights(folder):
    """Every tensor of the newest checkpoint, as bytes."""
    newest = checkpoints(folder / "checkpoints")[-1]
    files = {path.stem: load_file(path) for path in newest.glob("*.safetensors")}
    return {(file, name): v.numpy().tobytes() for file, tensors in files.items() for name, v in tensors.items()}


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "style"])
def whole(request, tmp_path_factory):
    """Whether there is a style encoder, and the weights of a run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert apart(training, folder, style=request.param) == 0
    return request.param, weights(folder)


@SIGNALS
def test_a_training_stopped_at_random_moments_ends_with_the_same_weights(whole, number, tmp_path):
    (style, expected), moments = whole, random.Random(int(number))
    for _ in range(STOPS):
        signals = partial(signal_after, moments.randint(1, 2 * LAYERS), number)
        assert apart(training, tmp_path, signals, style=style) == 130
    assert 0 < int(checkpoints(tmp_path / "checkpoints")[-1].name) < IMAGES
    assert apart(training, tmp_path, style=style) == 0
    assert weights(tmp_path) == expected


@SIGNALS
def test_a_training_stopped_by_the_clock_ends_with_the_same_weights(whole, number, tmp_path):
    """Anywhere, between layers too: while networks are made, in an optimizer, while saving."""
    (style, expected), moments = whole, random.Random(1 + int(number))
    for _ in range(STOPS):
        signals = partial(signal_by_the_clock, moments.uniform(0.05, 1.5), number)
        apart(training, tmp_path, signals, style=style, save_every=2)  # it may have ended before
    assert apart(training, tmp_path, style=style) == 0
    assert weights(tmp_path) == expected


@SIGNALS
def test_a_second_signal_leaves_at_once_and_saves_nothing(number, tmp_path):
    assert apart(training, tmp_path, steps=1) == 0
    before = weights(tmp_path)
    assert apart(training, tmp_path, partial(signal_after, 2 * LAYERS, number, number)) == 130
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["0000001"] and weights(tmp_path) == before


def test_an_interrupt_within_a_step_saves_nothing(tmp_path, capsys):
    """As outside the main thread, where no signal can be taken down."""
    run, errors = make_run(tmp_path), []
    run.train(1, progress=False)
    before, step = weights(tmp_path), run.trainer.discriminator_step

    def interrupted(*arguments):
        step(*arguments)
        raise KeyboardInterrupt

    def train():
        try:
            run.train(progress=False)
        except KeyboardInterrupt as error:
            errors.append(error)

    run.trainer.discriminator_step = interrupted
    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    thread.join(120)
    assert errors and "saved" not in capsys.readouterr().out
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["0000001"] and weights(tmp_path) == before


def test_a_stop_says_where_it_stands_and_gives_the_signals_back(tmp_path, capsys):
    run, before = make_run(tmp_path), signal.getsignal(signal.SIGINT)
    after_step = run.after_step

    def stop(*arguments):
        after_step(*arguments)
        signal.raise_signal(signal.SIGINT)

    run.after_step = stop
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a notebook's kernel does
    with pytest.raises(KeyboardInterrupt):
        run.train(progress=False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().out
    assert f"Stopped and saved at step 1 of {IMAGES}. The same command goes on from here." in said
