"""Why is a service as it is? One chain from the symptom to the deepest cause that is known.

Each service is diagnosed by itself, by the first of some rules that fits; a diagnosis may
say that the cause lies in a dependency, and the chain goes on there. No service is looked at
twice, so it ends, and the same facts always give the same chain.
"""

from msctl.core.why_case import Case, Step
from msctl.core.why_facts import Situation
from msctl.core.why_rules import diagnose
from msctl.core.why_symptom import symptom

__all__ = ["Step", "explain"]


def explain(situation: Situation, service: str, instance: str | None = None) -> tuple[Step, ...]:
    """Return the chain for a service, or for one of its instances; the symptom comes first."""
    case = Case(situation, situation.services[service], instance)
    chain = [symptom(case)]
    seen: set[str] = set()
    while True:
        seen.add(case.name)
        found = diagnose(case)
        chain += found.steps
        if found.follow is None or found.follow in seen:
            return tuple(chain)
        case = Case(situation, situation.services[found.follow])
