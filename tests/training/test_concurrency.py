"""Training beside forks and other threads: the bits are those of training alone, and nothing hangs."""

import json
import os
import subprocess
import sys

import pytest

CODE = """
import hashlib, json, multiprocessing, os, sys, threading

from npgan.recipes import get_recipe
from npgan.training import trainer
from npgan.training.experiment import Experiment

# Batches and networks that are large enough for several threads.
SETTINGS = {
    "ring": {"batch": 512, "data": {"name": "ring-8"}},
    "mlp": {"batch": 128, "data": {"name": "digits"}, "model": {"width": 128}},
    "dcgan": {"batch": 64, "data": {"name": "digits"}, "model": {"channels": 16}},
    "wgan-gp": {"batch": 32, "data": {"name": "digits"}, "model": {"channels": 8}, "n_critic": 2},
}


def made(name, seed=0):
    settings = {**SETTINGS[name], "seed": seed}
    settings["data"] = {**settings["data"], "prefetch": 0}
    return Experiment(trainer.resolve(get_recipe(name), settings), get_recipe(name))


def steps(experiment, first, count):
    "Train and return a digest of all weights."
    for step in range(first, first + count):
        experiment.step(step)
    thetas = b"".join(player.network.theta.tobytes() for player in experiment.players.values())
    return hashlib.sha256(thetas).hexdigest()[:16]


def in_a_fork(function):
    "Run a function in a forked child and return the text that it returns."
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.write(sink, function().encode())
            code = 0
        finally:
            os._exit(code)
    os.close(sink)
    with os.fdopen(source) as file:
        text = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return text


NAMES = list(SETTINGS)
"""

BITS = """
print(json.dumps([steps(made(name), 0, 3) for name in NAMES]))
"""

FORKS = """
alone = {name: (steps(made(name), 0, 3), steps(made(name), 0, 5)) for name in NAMES}
found = {}
for name in NAMES:
    e = made(name)
    same = [steps(e, 0, 3) == alone[name][0]]
    # The child goes on with what it inherits, and begins something of its own; so does a child of its.
    same.append(in_a_fork(lambda: steps(e, 3, 2)) == alone[name][1])
    same.append(in_a_fork(lambda: in_a_fork(lambda: steps(made(name), 0, 5))) == alone[name][1])
    queue = multiprocessing.get_context("fork").SimpleQueue()
    others = [
        multiprocessing.get_context("fork").Process(target=lambda: queue.put(steps(e, 3, 2))) for _ in range(2)
    ]
    for other in others:
        other.start()
    same += [queue.get() == alone[name][1] for _ in others]
    for other in others:
        other.join()
    same.append(steps(e, 3, 2) == alone[name][1])  # the parent goes on, too
    found[name] = same
print(json.dumps(found))
"""

FORK_AMID = """
# A user's thread trains while the main thread forks: children have none of the parent's threads.
alone = {name: steps(made(name), 0, 4) for name in NAMES}
e, found = made("ring"), []
stop = threading.Event()

def busy():
    step = 0
    while not stop.is_set():
        e.step(step)
        step += 1

user = threading.Thread(target=busy)
user.start()
for name in NAMES * 2:
    found.append(in_a_fork(lambda: steps(made(name), 0, 4)) == alone[name])
stop.set()
user.join()
print(json.dumps(found))
"""

THREADS = """
jobs = [(name, seed) for name in NAMES for seed in (1, 2)]
alone = [steps(made(*job), 0, 6) for job in jobs]
found = [None] * len(jobs)
begin = threading.Barrier(len(jobs))

def work(i):
    e = made(*jobs[i])
    begin.wait()
    found[i] = steps(e, 0, 6)

for _ in range(2):
    users = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(set(alone)) == len(jobs)
    assert found == alone, [job for job, a, b in zip(jobs, found, alone) if a != b]
print(json.dumps(True))
"""


def run(code, threads):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CODE + code],
        env={**os.environ, "NPGAN_THREADS": str(threads)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_seed_and_thread_count_give_the_same_bits(threads):
    assert run(BITS, threads) == run(BITS, threads)


@needs_fork
@pytest.mark.parametrize("threads", [2, 3])
def test_forks(threads):
    for name, same in run(FORKS, threads).items():
        assert all(same), (name, same)


@needs_fork
def test_forks_while_another_thread_trains():
    assert all(run(FORK_AMID, 2))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_several_threads_train_at_once(threads):
    assert run(THREADS, threads)
