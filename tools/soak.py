"""A long trial: trainings that are killed, stopped, robbed of disk and files, and poisoned, until the time is up.

    python tools/soak.py --minutes 60 --seed 0          (`make soak`)

Every training begins anew, goes through faults drawn from the seed until it has met each kind twice, and must end with
the very files of weights, moments and random numbers that the undisturbed one left. After each fault: no traceback,
the newest good checkpoint is no older than before, and one line says what was wrong. The last lines are a summary.
"""

import argparse
import contextlib
import os
import random
import re
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

from spade_edu.checkpoints import STATE, CheckpointError, checkpoints, require_unchanged, step_of
from spade_edu.cli import main as command_line
from spade_edu.data.streets import write
from spade_edu.training import Trainer

IMAGES, BATCH, EPOCHS = 12, 2, 4
STEPS = IMAGES // BATCH * EPOCHS
# What may come of a start: exit codes (-9: killed, 130: stopped, 2: an error that is said), and what has to be said.
STOPPED, SAID = (130, -signal.SIGTERM, -signal.SIGINT), "(?m)^spade-edu: .*"
KINDS: dict[str, tuple[tuple[int, ...], str]] = {
    "kill -9": ((-signal.SIGKILL,), ""),
    "Ctrl-C": (STOPPED, ""),
    "SIGTERM": (STOPPED, ""),
    "two signals": (STOPPED, ""),
    "full disk": ((2,), SAID + "(disk full|Is there room)"),
    "vanished file": ((2,), SAID + "(is missing|now there are)"),
    "poisoned value": ((2,), SAID + r"(no longer numbers|is (nan|-?inf)\.)"),
    "damaged checkpoint, kill -9": ((-signal.SIGKILL,), "Passing over a broken checkpoint"),
}


class Trial:
    """One training through its faults; `log` takes a line for each start."""

    def __init__(self, folder: Path, data: Path, dice: random.Random, seconds: float, threads: int):
        self.run, self.data, self.dice, self.seconds, self.threads = folder, data, dice, seconds, threads
        self.said = folder.with_suffix(".txt")

    def good(self) -> int:
        """The step of the newest checkpoint that is as it was written; 0 without one."""
        for path in reversed(checkpoints(self.run / "checkpoints")):
            with contextlib.suppress(CheckpointError):
                require_unchanged(path, [f"{name}.safetensors" for name in ("G", "D", "E", "G_ema", STATE)])
                return step_of(path)
        return 0

    def start(self, kind: str = "") -> tuple[int, str]:
        """Start the training in a process of its own, with a fault; gives its exit code and what it said."""
        moment, prepare, undo = self.dice.uniform(0, 0.3 * self.seconds), lambda: None, lambda: None
        if kind == "damaged checkpoint, kill -9":
            self.damage()
        elif kind == "vanished file":
            undo = self.take_away(moment)
        elif kind == "full disk":
            size = self.dice.randint(100, 200_000)
            prepare = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # noqa: E731
        elif kind == "poisoned value":
            step, seed = self.dice.randint(1, 5), self.dice.random()
            prepare = lambda: poison(step, seed)  # noqa: E731
        child = self.fork(prepare, "0" if kind == "full disk" else "1")
        timers = [threading.Timer(moment + delay, send, (child, number)) for number, delay in self.signals(kind)]
        for timer in timers:
            timer.start()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for timer in timers:
            timer.cancel()
            timer.join()
        undo()
        return code, self.said.read_text(encoding="utf-8", errors="replace")

    def take_away(self, moment: float) -> Callable[[], object]:
        """Take a file of the data away after some seconds; gives what brings it back."""
        file = self.dice.choice(sorted(self.data.rglob("train/*/*labelIds.png")))
        aside = file.with_suffix(".aside")
        timer = threading.Timer(moment, file.rename, (aside,))
        timer.start()

        def bring_back() -> None:
            timer.cancel()
            timer.join()
            if aside.exists():
                aside.rename(file)

        return bring_back

    def signals(self, kind: str) -> list[tuple[int, float]]:
        """The signals of a kind of fault, with the seconds between them."""
        number = {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM, "two signals": signal.SIGINT}.get(kind)
        if number:
            return [(number, 0.0)] + [(number, self.dice.uniform(0, 0.3))] * (kind == "two signals")
        return [(signal.SIGKILL, 0.0)] * kind.endswith("kill -9")

    def damage(self) -> None:
        """Change one byte of the newest checkpoint, if the one before it is good."""
        found = checkpoints(self.run / "checkpoints")
        file = found[-1] / self.dice.choice(["G.safetensors", "D.safetensors", f"{STATE}.safetensors"])
        content = bytearray(file.read_bytes())
        content[self.dice.randrange(len(content))] ^= 1 + self.dice.randrange(255)
        file.write_bytes(content)

    def fork(self, prepare: Callable[[], object], workers: str) -> int:
        """A process that runs `spade-edu train` as the command line does."""
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            os.setsid()
            torch.set_num_threads(self.threads)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            output = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1), os.dup2(output, 2)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
            prepare()
            settings = dict(
                images=IMAGES, batch_size=BATCH, epochs=EPOCHS, epochs_decay=0, ema=0.9, height=32, width=64
            )
            options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
            command_line(
                ["train", "--preset", "test", "--data", "cityscapes", "--root", str(self.data), "--style"]
                + ["--out", str(self.run), "--save-every", "2", "--workers", workers, *options]
            )
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException as error:  # what the command line let through
            print(f"Traceback: {error!r}", file=sys.stderr)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with contextlib.suppress(OSError):
                sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)


def send(child: int, number: int) -> None:
    """Send a signal to a child and, as Ctrl-C in a terminal or the end of a machine does, to its own children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, number)


def poison(step: int, seed: float) -> None:
    """Let one number of the state become nan or infinite before a step."""
    ordinary, passed, dice = Trainer.step_tensors, [0], random.Random(seed)

    def step_tensors(trainer, batch):
        passed[0] += 1
        if passed[0] == step:
            floats = [tensor for _, _, tensor in trainer.named_tensors() if tensor.is_floating_point()]
            with torch.no_grad():
                dice.choice(floats).view(-1)[0] = dice.choice([float("nan"), float("inf")])
        return ordinary(trainer, batch)

    Trainer.step_tensors = step_tensors


def files(run: Path) -> dict[str, bytes]:
    """What a finished training has to leave: weights, moments, random numbers."""
    newest = checkpoints(run / "checkpoints")[-1]
    return {f"{newest.name}/{path.name}": path.read_bytes() for path in sorted(newest.glob("*.safetensors"))}


def judge(trial: Trial, kind: str, before: int, code: int, said: str) -> list[str]:
    """What is wrong after a start."""
    allowed, words = KINDS[kind]
    wrong = ["a traceback"] * ("Traceback" in said)
    if code not in (0, *allowed):
        wrong.append(f"exit code {code}")
    if code == 2 and not re.search(words, said):
        wrong.append("not the word expected")
    if trial.good() < before:
        wrong.append(f"step {before} is lost")
    return wrong


def disturbed(trial: Trial, deadline: float, log) -> tuple[Counter, list[str]]:
    """Take a training through all its faults and to its end; gives what came of each, and what was wrong."""
    counts: Counter = Counter()
    wrong: list[str] = []
    left = [kind for kind in KINDS for _ in range(2)]
    trial.dice.shuffle(left)
    while left and time.monotonic() < deadline and trial.good() < STEPS:
        kind, before = left.pop(), trial.good()
        if kind == "vanished file" and not (trial.run / "data.json").exists():
            continue  # it would be begun on the files that are there, with a word on the one without a partner
        if "damaged" in kind:
            found = checkpoints(trial.run / "checkpoints")
            if len(found) < 2 or step_of(found[-1]) != before:
                continue
            before = step_of(found[-2])
        code, said = trial.start(kind)
        found_wrong = judge(trial, kind, before, code, said)
        counts[kind, "ended before it" if code == 0 else "as it should"] += 1
        wrong += [f"{trial.run.name}, {kind}: {what}\n{said}" for what in found_wrong]
        log(f"{trial.run.name}  {kind:28} exit {code:4}  step {before} -> {trial.good()}  {'; '.join(found_wrong)}")
    code, said = trial.start()
    return counts, wrong + [f"{trial.run.name}, last start: exit code {code}\n{said}"] * (code != 0)


def leftovers(run: Path) -> list[str]:
    """What a finished run folder may not hold."""
    names = [path.name for path in run.rglob("*") if re.search(r"\.(part|old)$|^\.holder", path.name)]
    lines = [line.split(",")[0] for line in (run / "metrics.csv").read_text(encoding="utf-8").splitlines()[1:]]
    steps = [str(step) for step in range(10, STEPS, 10)] + [str(STEPS)]
    return [f"{run.name} holds {name}" for name in names] + [f"{run.name}: metrics of {lines}"] * (lines != steps)


def soak(minutes: float, seed: int, threads: int, folder: Path) -> int:
    """Trainings until the time is up; prints the log and a summary, gives 1 if anything was wrong."""
    started, dice = time.monotonic(), random.Random(seed)
    deadline = started + 60 * minutes
    data = folder / "data"
    write(data, train=IMAGES, val=4, height=32, width=64)
    whole = Trial(folder / "undisturbed", data, dice, 0.0, threads)
    code, said = whole.start()
    assert code == 0, said
    expected, seconds = files(whole.run), time.monotonic() - started
    log_file = (folder / "log.txt").open("w", encoding="utf-8")

    def log(line: str) -> None:
        print(line, flush=True)
        print(line, file=log_file, flush=True)

    counts, wrong, trainings = Counter(), [], 0
    while time.monotonic() < deadline:
        trainings += 1
        trial = Trial(folder / f"{trainings:04d}", data, dice, seconds, threads)
        found, faults = disturbed(trial, deadline, log)
        counts += found
        same = files(trial.run) == expected
        wrong += faults + leftovers(trial.run) + [f"{trial.run.name}: other weights"] * (not same)
        log(f"{trial.run.name}  {'the same weights' if same else 'OTHER WEIGHTS'}")
    log(summary(counts, wrong, trainings, (time.monotonic() - started) / 60, seed, threads))
    return bool(wrong)


def summary(counts: Counter, wrong: list[str], trainings: int, minutes: float, seed: int, threads: int) -> str:
    """The table for docs/robustness.md."""
    faults = sum(n for (_, came), n in counts.items() if came == "as it should")
    lines = [
        f"{minutes:.0f} minutes, seed {seed}, {threads} thread(s) and a process that reads data, torch "
        f"{torch.__version__}: {trainings} trainings of {STEPS} steps, {faults} faults, {len(wrong)} found wrong.",
        "",
        "| fault | met in a training | came after its end |",
        "|---|---|---|",
        *(f"| {kind} | {counts[kind, 'as it should']} | {counts[kind, 'ended before it']} |" for kind in KINDS),
    ]
    return "\n".join([*lines, *([""] + wrong if wrong else [])])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the training; a second process reads its data")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        where = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where.mkdir(parents=True, exist_ok=True)
        sys.exit(soak(options.minutes, options.seed, options.threads, where))
