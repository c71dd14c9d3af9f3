"""The checks, checked: each fault is planted into each layer, and must be found."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from npgan.gradcheck.cases import Case, layer_cases
from npgan.gradcheck.checking import check_function, place
from npgan.gradcheck.contract import contract
from npgan.gradcheck.faults import Fault, faults_of_penalties, faults_of_terms, planted
from npgan.gradcheck.frame_faults import faults_of
from npgan.gradcheck.functions import NetworkFunction, stir_state
from npgan.gradcheck.subjects import Subject, case_network, subjects

if TYPE_CHECKING:
    from npgan.layers import Layer


@dataclass
class Score:
    """How many faults of a class were planted, and which were not found.

    Attributes
    ----------
    group : str
        The public layer in whose cases they were planted.
    kind : str
        The class whose maps they were planted into: the layer's, or that of the joins that a container makes.
    planted, idle : int
        Those that changed something, and those that never could.
    survivors : list of str
    found_by : dict of str to int
        How often each method was the first to find one.
    """

    group: str
    kind: str
    planted: int = 0
    idle: int = 0
    survivors: list[str] = field(default_factory=list)
    found_by: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def caught(self) -> int:
        """How many were found."""
        return self.planted - len(self.survivors)


def self_test(groups: set[str] | None = None, *, seed: int = 0, every: int = 1, first: int = 0) -> Iterator[Score]:
    """Plant every fault into every class of layers that has maps, and into losses and penalties; yield the scores.

    Parameters
    ----------
    groups : set of str, optional
        Of these public layers, losses and penalties only.
    seed : int
    every, first : int
        Only every so many'th fault, from this one on: a sample.
    """
    count = itertools.count(-first)

    def sampled() -> bool:
        return next(count) % every == 0

    yield from _layers(groups, seed, sampled)
    for kind, name, faults in (
        ("loss", "Term", faults_of_terms),
        ("penalty", "GradientPenalty", faults_of_penalties),
    ):
        of_kind = [s for s in subjects() if s.kind == kind and (groups is None or s.group in groups)]
        if of_kind:
            score, begun = Score(f"every {kind}", name), time.perf_counter()
            for subject in of_kind:
                for fault in faults():
                    if sampled():
                        _count(score, fault, _found_in(fault, subject, seed), subject.name)
            score.seconds = time.perf_counter() - begun
            yield score


def _layers(groups: set[str] | None, seed: int, sampled: Callable[[], bool]) -> Iterator[Score]:
    done: set[type[Layer]] = set()
    for group, cases in layer_cases().items():
        if groups is not None and group.__name__ not in groups:
            continue
        for kind in _kinds(group, cases):
            if kind in done:  # containers share their joins
                continue
            done.add(kind)
            score = Score(group.__name__, kind.__name__)
            begun = time.perf_counter()
            for fault in faults_of(kind):
                if sampled():
                    _score(score, fault, [case for case in cases if kind in _classes(case)], seed)
            score.seconds = time.perf_counter() - begun
            yield score


def _score(score: Score, fault: Fault, cases: list[Case], seed: int) -> None:
    """Plant a fault under each case, the smallest first, until it is found."""
    method = ""
    for case in sorted(cases, key=lambda case: int(np.prod(case.shape))):
        method = _found(fault, case, seed)
        if method:
            break
    _count(score, fault, method)


def _count(score: Score, fault: Fault, method: str, where: str = "") -> None:
    """Note whether a fault was found, and by what; one that never changed a number is none."""
    if method:
        score.planted += 1
        score.found_by[method] = score.found_by.get(method, 0) + 1
    elif fault.changed:
        score.planted += 1
        score.survivors.append(f"{fault} {where}".strip())
    else:
        score.idle += 1


def _found_in(fault: Fault, subject: Subject, seed: int) -> str:
    """Return by what a fault was found in a subject, or nothing."""
    with planted(fault), np.errstate(all="ignore"):
        try:
            f = subject.make("reference", "float64", seed)
            rows = check_function(f, seed=seed, differences=subject.differences, full=12, directions=2, stop=True).rows
        except Exception as error:  # what raises has been found too
            return type(error).__name__
    return next((row.method for row in rows if not row.ok), "")


def _found(fault: Fault, case: Case, seed: int) -> str:
    """Return by what the fault was found, or nothing."""
    with planted(fault), np.errstate(all="ignore"):
        try:
            network = case_network(case, "reference", "float64", seed)
            stir_state(network, seed)
            f = NetworkFunction(network, 3, below=case.labels, condition_below=case.condition_labels)
            broken = next((row for row in contract(f, *place(f, seed, 0), seed) if not row.ok), None)
            if broken is None and not fault.changed:
                return ""  # the contract has run every map: this fault can do nothing here
            if broken is not None:
                return broken.method
            for differences in (False, True):
                rows = check_function(f, seed=seed, differences=differences, full=12, directions=2, stop=True).rows
                for row in rows:
                    if not row.ok:
                        return row.method
        except Exception as error:  # a layer that raises has been found too
            return type(error).__name__
    return ""


def _classes(case: Case) -> set[type[Layer]]:
    """Return the classes of the operations that the case's layer is lowered to."""
    return {type(op.layer) for op in case_network(case, "reference", "float64", 0).trace(3).ops}


def _kinds(group: type[Layer], cases: list[Case]) -> list[type[Layer]]:
    """Return the classes whose maps are this public layer's own: itself, or the joins that it makes."""
    from npgan.layers.base import Join

    found = sorted(set().union(*map(_classes, cases)), key=lambda kind: kind.__name__)
    return [kind for kind in found if kind is group or issubclass(kind, Join)]
