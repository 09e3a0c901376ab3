"""How long the cores' steps take at 10, 100 and 1000 instances: no process, no socket, no loop.

All instances belong to one service, the worst case; for route lookups there are as many services.
The steps that happen for every call, or for every instance that comes, ought to take as long in a
big fleet as in a small one. Those that happen once for a change may grow, and are shown as well.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from msctl.core.discovery import ServiceDiscovery
from msctl.core.reconcile import Fact, Wish, reconcile
from msctl.core.registry import ServiceRegistry
from msctl.core.router import CallFacts, Lease, RoutePolicy, Router, ServiceRoute
from msctl.model import Health, ServiceInstance, ServiceStatus

SIZES = (10, 100, 1000)
SERVICE = "bench"
NOW = 1000.0
_GET = CallFacts(idempotent=True)
_SECONDS = 0.1
"""Of each measurement; the median of several counts."""
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the cores in a fleet of one size."""

    name: str
    size: int
    seconds: float


def measure(sizes: Sequence[int] = SIZES) -> Iterator[Step]:
    """Time every step at every size."""
    for name, prepare in _STEPS.items():
        for size in sizes:
            yield Step(name, size, _time(prepare(size)))


def _time(step: Callable[[], object]) -> float:
    """Return the median of some means; each step may be repeated as often as one likes."""
    began, repetitions = time.perf_counter(), 0
    while time.perf_counter() - began < _SECONDS:
        step()
        repetitions += 1
    return statistics.median(_mean(step, repetitions) for _ in range(_ROUNDS))


def _mean(step: Callable[[], object], repetitions: int) -> float:
    began = time.perf_counter()
    for _ in range(repetitions):
        step()
    return (time.perf_counter() - began) / repetitions


def instance(number: int, service: str = SERVICE) -> ServiceInstance:
    return ServiceInstance(
        id=f"{service}-{number}",
        service=service,
        port=20_000 + number,
        pid=number,
        status=ServiceStatus.RUNNING,
        health=Health.HEALTHY,
        started_at=NOW,
    )


def registry_of(size: int) -> ServiceRegistry:
    registry = ServiceRegistry()
    for number in range(1, size + 1):
        registry.register_service(instance(number))
    return registry


def _route(size: int) -> tuple[ServiceRegistry, ServiceRoute]:
    registry = registry_of(size)
    router = Router(ServiceDiscovery(registry), Random(1))
    return registry, router.configure(SERVICE, RoutePolicy())


def _pick_on_the_lane(size: int) -> Callable[[], object]:
    """A call while all is well: choose, count, give back."""
    _, route = _route(size)
    lane, ticks = route.express, iter(range(1_000_000_000))

    def step() -> bool:
        now = NOW + next(ticks) * 1e-6  # a million calls a second, so that windows turn as well
        track = lane.take(now)
        if track is None:
            return _whole_call(route, now)
        return lane.done(track, lane.generation, 200, now, now)

    return step


def _pick_of_a_call(size: int) -> Callable[[], object]:
    """A call on the complete path: bulkhead, breakers, choice, verdict."""
    _, route = _route(size)
    return lambda: _whole_call(route, NOW)


def _whole_call(route: ServiceRoute, now: float) -> bool:
    call = route.begin(_GET, now)
    lease = call.pick(now)  # type: ignore[union-attr]  nothing is refused here
    assert isinstance(lease, Lease)
    call.answered(lease, 200, None, now, can_replay=True)  # type: ignore[union-attr]
    lease.release(now)
    call.finish(now)  # type: ignore[union-attr]
    return True


def _first_pick_after_a_change(size: int) -> Callable[[], object]:
    """An instance turns degraded and healthy again, with a call after each."""
    registry, route = _route(size)
    healths = iter([Health.DEGRADED, Health.HEALTHY] * 100_000)
    lane = route.express

    def step() -> object:
        registry.update(f"{SERVICE}-1", 1, health=next(healths))
        track = lane.take(NOW)
        if track is None:
            return _whole_call(route, NOW)
        return lane.done(track, lane.generation, 200, NOW, NOW)

    return step


def _route_lookup(size: int) -> Callable[[], object]:
    router = Router(ServiceDiscovery(ServiceRegistry()), Random(1))
    for number in range(size):
        router.configure(f"s{number}", RoutePolicy())
    name = f"s{size // 2}"
    return lambda: router.route(name)


def _registration(size: int) -> Callable[[], object]:
    """One more instance comes and goes, with a router that hears of it."""
    registry, _ = _route(size)
    newcomer = instance(size + 1)

    def step() -> None:
        registry.register_service(newcomer)
        registry.unregister_service(newcomer.id)

    return step


def _discovery(size: int) -> Callable[[], object]:
    discovery = ServiceDiscovery(registry_of(size))
    return lambda: discovery.discover_service(SERVICE)


def _passed_check(size: int) -> Callable[[], object]:
    """What most checks come to: nothing has changed."""
    registry = registry_of(size)
    name = f"{SERVICE}-{size // 2}"
    return lambda: registry.update(name, 1, health=Health.HEALTHY, reason="")


def _reconciliation(size: int) -> Callable[[], object]:
    """Compare what is wanted with what is, in a fleet where all is as it should be."""
    wishes = {f"s{number}": Wish(replicas=1) for number in range(size)}
    facts = {name: [Fact(instance=instance(1, name), revision=1)] for name in wishes}
    return lambda: reconcile(wishes, facts)


_STEPS: dict[str, Callable[[int], Callable[[], object]]] = {
    "pick, all is well": _pick_on_the_lane,
    "route lookup": _route_lookup,
    "registration": _registration,
    "discovery": _discovery,
    "check that passed": _passed_check,
    "whole call off the lane": _pick_of_a_call,
    "first call after a change": _first_pick_after_a_change,
    "reconciliation": _reconciliation,
}

EVEN = ("pick, all is well", "route lookup", "registration", "discovery", "check that passed")
"""Those that ought to take the same time at any size."""


def table(steps: Sequence[Step]) -> str:
    """Render the times for people, in microseconds."""
    sizes = sorted({step.size for step in steps})
    lines = [f"{'microseconds':<28}" + "".join(f"{size:>10}" for size in sizes) + "   growth"]
    for name in dict.fromkeys(step.name for step in steps):
        row = {step.size: step.seconds * 1e6 for step in steps if step.name == name}
        cells = "".join(f"{row[size]:>10.2f}" for size in sizes)
        note = "" if name in EVEN else "   (may grow)"
        lines.append(f"  {name:<26}{cells}{row[sizes[-1]] / row[sizes[0]]:>8.1f}x{note}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(list(measure())))
