"""Reads `/metrics` as Prometheus does, and keeps an access log in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from msctl.proxy.access import Access


class Scrape:
    """The samples of one exposition."""

    def __init__(self, text: str) -> None:
        self.families = {f.name: f for f in text_string_to_metric_families(text)}

    def values(self, name: str, **labels: str) -> Iterator[float]:
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    yield sample.value

    def sum(self, name: str, **labels: str) -> float:
        return sum(self.values(name, **labels))

    def labels(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Samples above 0, by one of their labels."""
        return {
            sample.labels[label]: sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items() and sample.value
        }


@dataclass
class Memory:
    """An access log that only remembers."""

    enabled: bool = True
    lines: list[Access] = field(default_factory=list)

    def record(self, access: Access) -> None:
        self.lines.append(access)
