"""Instances for tests, with no more said than a test needs."""

from msctl.model import Health, ServiceInstance, ServiceStatus


def instance(
    id_: str = "api-1",
    status: ServiceStatus = ServiceStatus.RUNNING,
    health: Health = Health.HEALTHY,
    generation: int = 1,
) -> ServiceInstance:
    service = id_.rpartition("-")[0]
    return ServiceInstance(
        id=id_, service=service, generation=generation, port=40000, status=status, health=health
    )


class FixedRandom:
    """A random source that always says the same number."""

    def __init__(self, value: float = 0.5) -> None:
        self.value = value

    def random(self) -> float:
        return self.value
