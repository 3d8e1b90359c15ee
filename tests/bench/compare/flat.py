"""Whether a question about one image costs the same in a small store and in the largest one reported."""

from __future__ import annotations

from storaged.sample import FLEET_HOST, SampleSpec

from .figures import ANEW, PING, STORAGED
from .listing import NO_EFFECT
from .questions import EXISTS, RESOLVE, WHY, calling, cycling
from .stage import Run, single, stage
from .timing import Contender, by_turns

SMALL = 100
CASES = {f"{case}, small and large": case for case in (RESOLVE, EXISTS, WHY)}


def measure(run: Run) -> None:
    """Both daemons run at once and are asked by turns, each beside its own ping."""
    few = SampleSpec(images=run.size(SMALL), seed=run.seed)
    layers = round((FLEET_HOST.layers or 0) * run.scale)
    many = SampleSpec(images=run.size(FLEET_HOST.images), layers=layers, seed=run.seed)
    with stage(run, few, with_service=False) as small, stage(run, many, with_service=False) as large:
        for on in (small, large):
            run.figures.facts[f"flat, {on.spec.images} images: layers"] = str(on.sample.layers)
        # As many names of each: what is asked again and again is cached alike.
        count = len(single(small.sample))
        names = [single(on.sample)[:count] for on in (small, large)]
        for case, method in CASES.items():
            contenders = [
                contender
                for on, known in zip((small, large), names, strict=True)
                for contender in (
                    Contender(who=f"{on.spec.images} {STORAGED}", ask=cycling(on, method, known), burst=50, warm=200),
                    Contender(
                        who=f"{on.spec.images} {ANEW}",
                        ask=cycling(on, method, known, **NO_EFFECT),
                        burst=50,
                        warm=200,
                    ),
                    Contender(who=f"{on.spec.images} {PING}", ask=calling(on, PING), burst=50, warm=200),
                )
            ]
            taken = by_turns(contenders, run.effort(3, least=20))
            for on in (small, large):
                own = {who: taken[f"{on.spec.images} {who}"] for who in (STORAGED, ANEW, PING)}
                run.figures.add(run.report, case, on.place, own)
