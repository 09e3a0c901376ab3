"""From facts to a chain of causes."""

from collections.abc import Mapping
from itertools import permutations
from random import Random
from typing import Any

import pytest

from msctl.config.models import Condition, Dependency
from msctl.core.health import HealthPolicy, HealthTracker
from msctl.core.probe import classify
from msctl.core.why import Step, explain
from msctl.core.why_facts import (
    BreakerFacts,
    InstanceFacts,
    Line,
    PortHolder,
    Run,
    ServiceFacts,
    Situation,
)
from msctl.model import BreakerState, Health, ServiceStatus

NOW = 1_000_000.0
RUNNING, STARTING, ERROR = ServiceStatus.RUNNING, ServiceStatus.STARTING, ServiceStatus.ERROR


def needs(*names: str, **keys: Any) -> tuple[Dependency, ...]:
    return tuple(Dependency(name=name, **keys) for name in names)


def instance(name: str, **keys: Any) -> InstanceFacts:
    defaults: dict[str, Any] = {
        "status": RUNNING,
        "health": Health.HEALTHY,
        "pid": 4711,
        "port": 40123,
        "started_at": NOW - 60,
        "since": NOW - 41,
    }
    return InstanceFacts(id=name, **(defaults | keys))


def running(name: str, *instances: InstanceFacts, **keys: Any) -> ServiceFacts:
    """A service that serves, unless the keys say otherwise."""
    there = instances or (instance(f"{name}-1"),)
    healthy = sum(i.status is RUNNING and i.health is Health.HEALTHY for i in there)
    defaults: dict[str, Any] = {
        "status": RUNNING,
        "health": Health.HEALTHY if healthy >= len(there) else Health.UNHEALTHY,
        "wanted": len(there),
        "ready": healthy,
        "instances": there,
        "check": "GET /health",
    }
    return ServiceFacts(name=name, **(defaults | keys))


def unhealthy(name: str, reason: str, **keys: Any) -> ServiceFacts:
    about = {k: keys.pop(k) for k in ("process_state", "pid") if k in keys}
    sick = instance(f"{name}-1", health=Health.UNHEALTHY, reason=reason, **about)
    return running(name, sick, **keys)


def ended(name: str, run: Run, *, reason: str = "", **keys: Any) -> ServiceFacts:
    """A service whose only instance was given up."""
    gone = instance(
        f"{name}-1", status=ERROR, health=Health.UNHEALTHY, pid=None, reason=reason or run.given_up
    )
    return running(
        name, gone, **({"status": ERROR, "runs": {f"{name}-1": (run,)}, "ready": 0} | keys)
    )


def exited(
    *lines: str, ending: str = "exited with code 1", rule: str = "restart: no", **keys: Any
) -> Run:
    defaults: dict[str, Any] = {
        "pid": 99,
        "started": NOW - 20,
        "ended": NOW - 10,
        "ending": ending,
        "given_up": f"{ending} ({rule})" if rule else "",
        "lines": tuple(Line("stderr", line) for line in lines),
    }
    return Run(**(defaults | keys))


def chain(*services: ServiceFacts, instance: str | None = None, **keys: Any) -> tuple[Step, ...]:
    """The chain for the first of these services."""
    situation = Situation(now=NOW, services={s.name: s for s in services}, **keys)
    return explain(situation, services[0].name, instance)


def told(steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    return [(step.instance or step.service, step.what) for step in steps]


# The whole way


def test_from_the_symptom_to_the_port_that_somebody_holds() -> None:
    database = ended(
        "database",
        exited("FATAL: could not bind 127.0.0.1:5432: Address already in use"),
        port=5432,
        binds_own_port=True,
    )
    order = unhealthy("order-service", "answered 503: db refused", dependencies=needs("database"))
    steps = chain(order, database, holders={5432: PortHolder(text="pid 4312 (postgres)", pid=4312)})
    assert told(steps) == [
        ("order-service", "unhealthy for 41 s: 0 of 1 instance ready"),
        ("order-service-1", "its health check answered 503: db refused"),
        ("database-1", "exited with code 1, 10 s ago"),
        (
            "database-1",
            'its last line: "FATAL: could not bind 127.0.0.1:5432: Address already in use"',
        ),
        ("database", "port 5432 is held by pid 4312 (postgres)"),
    ]
    assert steps[2].evidence == (
        "pid 99 ran for 10 s",
        "given up: restart: no, so it is not started again",
    )
    assert steps[-1].hint == "kill 4312, or set services.database.port, then: msctl up database"


def test_a_cycle_of_dependencies_ends_the_chain() -> None:
    one = unhealthy("one", "answered 503: two", dependencies=needs("two"))
    two = unhealthy("two", "answered 503: one", dependencies=needs("one"))
    assert [step.service for step in chain(one, two)] == ["one", "one", "two"]


def test_the_same_facts_give_the_same_chain_in_whatever_order_they_come() -> None:
    services = [
        unhealthy("app", "answered 503", dependencies=needs("cache", "database")),
        ended("cache", exited("oops")),
        ended("database", exited("ouch")),
    ]
    chains = set()
    for order in permutations(services):
        known = {s.name: s for s in order}
        chains.add(explain(Situation(now=NOW, services=known), "app"))
    assert len(chains) == 1


# What is well


def test_of_a_service_that_is_well_the_figures_are_told() -> None:
    steps = chain(running("app", instance("app-1", restarts=2, connections=1)))
    assert told(steps) == [
        ("app", "healthy for 41 s: 1 of 1 instance ready"),
        ("app", "nothing is wrong"),
    ]
    assert steps[0].evidence == ("app-1: running, healthy, pid 4711, 2 restarts, 1 call under way",)
    assert not any(step.hint for step in steps)


def test_a_crash_of_the_last_ten_minutes_is_told_with_its_cause() -> None:
    crash = exited("ValueError: no", rule="")
    steps = chain(running("app", runs={"app-1": (crash, Run(pid=100, started=NOW - 9))}))
    assert told(steps)[1:] == [
        ("app-1", "nothing is wrong now, but it crashed 10 s ago and was started again"),
        ("app-1", "exited with code 1, 10 s ago"),
        ("app-1", 'its last line: "ValueError: no"'),
    ]


def test_an_older_crash_is_past() -> None:
    crash = exited(rule="", started=NOW - 700, ended=NOW - 601)
    assert told(chain(running("app", runs={"app-1": (crash,)})))[1:] == [
        ("app", "nothing is wrong")
    ]


def test_a_dependency_that_is_down_is_told_of_a_service_that_is_well() -> None:
    app = running("app", dependencies=needs("cache"))
    steps = chain(app, ended("cache", exited("* Ready", ending="killed by SIGKILL")))
    assert told(steps) == [
        ("app", "healthy for 41 s: 1 of 1 instance ready"),
        ("app", "it is well itself, but its dependency cache is not"),
        ("cache-1", "killed by signal 9 (SIGKILL), 10 s ago"),
        ("cache-1", 'its last line: "* Ready"'),
    ]


def test_an_optional_dependency_that_nobody_wants_is_not_missed() -> None:
    app = running("app", dependencies=needs("cache", required=False))
    assert told(chain(app, ServiceFacts(name="cache")))[-1] == ("app", "nothing is wrong")


def test_a_job_that_is_done_is_no_missing_dependency() -> None:
    job = instance("job-1", status=ServiceStatus.COMPLETED, health=Health.UNKNOWN, pid=None)
    done = running("job", job, status=ServiceStatus.COMPLETED, health=Health.UNKNOWN)
    app = running("app", dependencies=needs("job", condition=Condition.COMPLETED))
    assert told(chain(app, done))[-1] == ("app", "nothing is wrong")
    assert told(chain(done))[-1] == ("job-1", "it is a job and has done it")


def test_a_new_instance_that_failed_is_told_although_the_old_ones_serve() -> None:
    fine, failed = instance("app-1"), instance("app-2", status=ERROR, pid=None)
    service = running(
        "app", fine, failed, health=Health.HEALTHY, wanted=1,
        runs={"app-2": (exited("SyntaxError: bad", rule="it was never healthy"),)},
    )  # fmt: skip
    assert told(chain(service))[1:] == [
        ("app-2", "exited with code 1, 10 s ago"),
        ("app-2", 'its last line: "SyntaxError: bad"'),
    ]


TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/shop/orders.py", line 22, in connect',
    '    raise ValueError("no DSN")',
    "ValueError: no DSN",
)
NEVER = "it was never healthy"


def after_a_failed_restart(*others: InstanceFacts) -> ServiceFacts:
    """Its instance app-4 was given up and removed; app-1 serves, as it did before."""
    failed = exited(*TRACEBACK, rule=NEVER)
    return running("app", instance("app-1"), *others, runs={"app-4": (failed,)})


def test_a_failed_restart_is_told_as_one_while_the_old_instances_serve() -> None:
    steps = chain(after_a_failed_restart())
    assert told(steps) == [
        ("app", "healthy for 41 s: 1 of 1 instance ready"),
        (
            "app",
            "it is healthy, but its last restart failed: app-4 exited with code 1, 10 s ago",
        ),
        ("app-4", "ValueError: no DSN"),
    ]
    assert steps[1].evidence[-1].startswith("given up: it was never healthy")
    assert steps[2].evidence == ("at /shop/orders.py:22 in connect",)


def test_what_was_given_up_is_never_said_to_have_been_started_again() -> None:
    assert not any("started again" in what for _, what in told(chain(after_a_failed_restart())))


def test_after_a_failed_restart_the_advice_is_to_restart() -> None:
    steps = chain(after_a_failed_restart())
    assert steps[1].hint == "see msctl logs app-4, then: msctl restart app"
    assert steps[2].hint == "put /shop/orders.py:22 right, then: msctl restart app"


def test_a_restart_that_could_not_start_its_program_is_told_with_the_reason() -> None:
    run = Run(ended=NOW - 1, given_up="command not found on PATH: appp")
    steps = chain(running("app", runs={"app-4": (run,)}))
    assert len(steps) == 2
    assert steps[1].what.endswith(" failed: app-4: command not found on PATH: appp, 1 s ago")
    assert steps[1].hint == "see msctl logs app-4, then: msctl restart app"


@pytest.mark.parametrize("name", ["app-4", "app-5"])
def test_a_failed_restart_is_past_once_a_later_instance_is_healthy(name: str) -> None:
    steps = chain(after_a_failed_restart(instance(name, started_at=NOW - 9)))
    assert told(steps)[1:] == [("app", "nothing is wrong")]


def test_an_instance_from_before_the_failed_restart_ended_does_not_make_it_past() -> None:
    steps = chain(after_a_failed_restart(instance("app-2", started_at=NOW - 11)))
    assert "its last restart failed" in steps[1].what


def test_a_crash_of_an_instance_that_was_replaced_since_is_past() -> None:
    crash = exited("boom", rule="")
    service = running("app", instance("app-2", started_at=NOW - 5), runs={"app-1": (crash,)})
    assert told(chain(service))[1:] == [("app", "nothing is wrong")]


def test_a_health_path_that_is_not_there_is_told_with_its_key() -> None:
    tracker = HealthTracker(HealthPolicy(), 0.0)
    tracker.record(classify(404, b""), 0.0, Random(1))
    sick = instance("app-1", reason=tracker.detail)
    steps = chain(running("app", sick))
    assert steps[1].what == "its health check is misconfigured: GET /health answered 404"
    assert "services.app.health_check_path" in steps[1].hint


# What is not running


def test_a_service_that_was_never_started_says_how_to() -> None:
    (step,) = chain(ServiceFacts(name="app"))
    assert (step.what, step.hint) == ("not running: it was not started", "msctl up app")


def test_a_service_that_was_stopped_says_when() -> None:
    stopped = Run(pid=1, started=NOW - 90, ended=NOW - 30, ending="stopped")
    (step,) = chain(ServiceFacts(name="app", shown_stopped=NOW - 30, runs={"app-1": (stopped,)}))
    assert (step.what, step.hint) == ("not running: stopped 30 s ago", "msctl start app")


def test_scaled_to_none_is_told_as_such() -> None:
    (step,) = chain(ServiceFacts(name="app", standby=True))
    assert (step.what, step.hint) == ("scaled to 0 instances", "msctl scale app=1")


def test_a_start_that_was_taken_back_is_told_with_its_cause() -> None:
    failed = exited("ValueError: no DSN", rule="it was never healthy")
    steps = chain(ServiceFacts(name="app", shown_stopped=NOW - 9, runs={"app-1": (failed,)}))
    assert told(steps)[1:] == [
        ("app-1", "exited with code 1, 10 s ago"),
        ("app-1", 'its last line: "ValueError: no DSN"'),
    ]


def test_a_start_that_was_taken_back_for_a_dependency_is_told_of_that() -> None:
    failed = exited("no disk", rule="it was never healthy")
    database = ServiceFacts(name="database", runs={"database-1": (failed,)})
    middle = ServiceFacts(name="middle", dependencies=needs("database"))
    app = ServiceFacts(name="app", dependencies=needs("middle"))
    assert told(chain(app, middle, database))[1:] == [
        ("app", "its dependency middle did not come up"),
        ("middle", "its dependency database did not come up"),
        ("database-1", "exited with code 1, 10 s ago"),
        ("database-1", 'its last line: "no disk"'),
    ]


def test_a_port_that_is_taken_keeps_a_service_from_starting() -> None:
    holder = PortHolder(text="pid 7 (nginx)", pid=7)
    steps = chain(ServiceFacts(name="app", port=8001), holders={8001: holder})
    assert told(steps)[-1] == ("app", "port 8001 is held by pid 7 (nginx)")
    assert steps[-1].hint.startswith("kill 7, or")


def test_without_a_fleet_the_last_run_is_told() -> None:
    run = exited("boom", rule="it was never healthy")
    steps = chain(ServiceFacts(name="app", runs={"app-1": (run,)}), running=False)
    assert told(steps) == [
        ("app", "not running: no fleet is running here"),
        ("app-1", "exited with code 1, 10 s ago"),
        ("app-1", 'its last line: "boom"'),
    ]


def test_without_a_fleet_a_run_without_an_end_tells_of_the_daemons() -> None:
    steps = chain(ServiceFacts(name="app", runs={"app-1": (Run(pid=5),)}), running=False)
    assert told(steps)[-1][1].startswith("the daemon ended without a word")
    assert steps[-1].evidence == ("pid 5 of app-1 was running then",)


def waiting(name: str, *unmet: str, **keys: Any) -> ServiceFacts:
    return ServiceFacts(name=name, wanted=1, dependencies=needs(*unmet, **keys), unmet=unmet)


def test_what_waits_says_for_whom_and_why_that_takes_so_long() -> None:
    slow = instance("user-1", status=STARTING, health=Health.UNKNOWN, reason="connection refused")
    user = running("user", slow, status=STARTING, health=Health.UNKNOWN, ready=0)
    steps = chain(waiting("app", "user"), user)
    assert told(steps) == [
        ("app", "not started: 0 of 1 instance ready"),
        ("app", "it waits for user to be healthy"),
        ("user-1", "it has been starting for 1 min of 30 s (start_timeout)"),
    ]
    assert steps[-1].evidence == ("last check: connection refused",)


def test_of_several_that_are_waited_for_the_failed_one_is_followed() -> None:
    fine = running("fine", health=Health.UNKNOWN)
    steps = chain(waiting("app", "fine", "bad"), fine, ended("bad", exited("x")))
    assert [step.service for step in steps][-1] == "bad"


def test_a_job_is_waited_for_until_it_completes() -> None:
    steps = chain(waiting("app", "job", condition=Condition.COMPLETED), running("job"))
    assert told(steps)[1:] == [("app", "it waits for job to complete")]
    assert steps[-1].evidence == ("job: running, healthy",)


# How processes end


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        ("exited with code 3", "exited with code 3, 10 s ago"),
        ("killed by SIGSEGV", "killed by signal 11 (SIGSEGV), 10 s ago"),
        ("killed by SIGKILL", "killed by signal 9 (SIGKILL), 10 s ago"),
        ("killed by signal 64", "killed by signal 64, 10 s ago"),
        (
            "not healthy within 30 s; last check: no answer",
            "not healthy within 30 s; last check: no answer, 10 s ago",
        ),
    ],
)
def test_an_end_is_told_as_what_it_was(ending: str, what: str) -> None:
    assert told(chain(ended("app", exited(ending=ending))))[1] == ("app-1", what)


def test_lack_of_memory_is_suspected_only_where_the_kernel_says_so() -> None:
    killed = ended("app", exited(ending="killed by SIGKILL"))
    assert "memory" not in chain(killed)[1].what
    step = chain(killed, memory_kills=2)[1]
    assert step.what == "killed by signal 9 (SIGKILL), perhaps for lack of memory, 10 s ago"
    assert "killed 2 of the machine's processes" in step.evidence[0]
    assert "memory" not in chain(ended("app", exited()), memory_kills=2)[1].what


def test_a_program_that_could_not_be_started_says_why() -> None:
    reason = "command not found on PATH: redis-serve"
    steps = chain(ended("cache", Run(ended=NOW - 1, given_up=reason)))
    assert told(steps)[1:] == [("cache-1", f"{reason}, 1 s ago")]
    assert steps[1].evidence == ("given up",)


def test_an_end_that_the_log_does_not_tell_yet_is_told_by_the_registry() -> None:
    service = ended("app", Run(pid=3, started=NOW), reason="exited with code 1 (restart: no)")
    assert told(chain(service))[1] == ("app-1", "exited with code 1")


def test_backoff_says_when_it_is_started_again() -> None:
    run = exited("boom", rule="", restarts_at=NOW + 2.5)
    waits = instance("app-1", status=ServiceStatus.BACKOFF, health=Health.UNHEALTHY, restarts=1)
    service = running("app", waits, status=ServiceStatus.BACKOFF, runs={"app-1": (run,)})
    steps = chain(service)
    assert steps[0].what.startswith("backoff for 41 s")
    assert steps[1].evidence[-1] == "it is started again in 2.5 s"


def test_the_rule_that_gave_it_up_is_named() -> None:
    steps = chain(ended("app", exited(rule="5 quick crashes in a row")))
    assert steps[1].evidence[-1] == (
        "given up: 5 quick crashes in a row, so it is not started again"
    )


def test_a_traceback_is_told_with_its_place_and_what_to_do() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "/shop/orders.py", line 12, in connect',
        '    raise ValueError("no DSN")',
        "ValueError: no DSN",
    ]
    step = chain(ended("app", exited(*lines)))[-1]
    assert (step.what, step.evidence) == (
        "ValueError: no DSN",
        ("at /shop/orders.py:12 in connect",),
    )
    assert step.hint == "put /shop/orders.py:12 right, then: msctl start app"


def test_a_crash_for_a_dependency_follows_it_only_when_its_last_lines_name_it() -> None:
    cache = ended("cache", exited("out"), port=6379)
    other = ended("other", exited("out"), port=6380)
    lines = "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379."
    app = ended("app", exited(lines), dependencies=needs("other", "cache"))
    assert chain(app, other, cache)[-1].service == "cache"
    silent = ended("app", exited("boom"), dependencies=needs("other", "cache"))
    assert chain(silent, other, cache)[-1].service == "app"


def test_a_port_that_was_taken_and_is_free_again_is_told_too() -> None:
    steps = chain(ended("app", exited("EADDRINUSE: address already in use :::8001")))
    assert told(steps)[-1] == ("app-1", "its port was taken; nobody holds it any more")


def test_an_end_that_was_meant_names_the_policy() -> None:
    over = instance(
        "app-1", status=ServiceStatus.STOPPED, health=Health.UNKNOWN, pid=None,
        reason="exited with code 0",
    )  # fmt: skip
    service = running("app", over, status=ServiceStatus.STOPPED, health=Health.UNKNOWN)
    steps = chain(service)
    assert told(steps)[-1] == ("app-1", "it ended by itself: exited with code 0")
    assert steps[-1].evidence == ("restart: on-failure, so it is not started again",)


# Alive, and not well


def test_a_503_follows_the_dependency_that_it_names() -> None:
    app = unhealthy("app", "answered 503: redis cache is gone", dependencies=needs("db", "cache"))
    steps = chain(app, ended("db", exited("a")), ended("cache", exited("b")))
    assert steps[-1].service == "cache"


def test_a_503_that_names_nobody_follows_the_first_that_is_not_well() -> None:
    app = unhealthy("app", "answered 503", dependencies=needs("fine", "db"))
    steps = chain(app, running("fine"), ended("db", exited("a")))
    assert steps[-1].service == "db"


def test_a_503_with_healthy_dependencies_ends_with_its_last_lines() -> None:
    run = Run(pid=4711, lines=(Line("stdout", "queue is full"),))
    app = unhealthy("app", "answered 503: busy", dependencies=needs("db"), runs={"app-1": (run,)})
    steps = chain(app, running("db"))
    assert told(steps)[1:] == [("app-1", "its health check answered 503: busy")]
    assert (steps[-1].evidence, steps[-1].hint) == (
        ("stdout: queue is full",),
        "msctl logs app-1",
    )


def test_a_dependency_whose_breaker_is_open_is_followed() -> None:
    opened = BreakerFacts(state=BreakerState.OPEN, reason="5 failures in a row", left=3.21)
    user = running("user", breaker=opened)
    app = unhealthy("app", "answered 503", dependencies=needs("user"))
    steps = chain(app, user)
    assert told(steps)[-1] == ("user", "its circuit breaker is open: 5 failures in a row")
    assert steps[-1].evidence == ("3.2 s are left of that", "user-1: running, healthy")
    assert steps[-1].hint == "msctl breaker reset user"


def test_an_answer_below_500_is_the_services_own_fault() -> None:
    app = unhealthy("app", "answered 401: who are you", dependencies=needs("db"))
    assert chain(app, ended("db", exited("a")))[-1].service == "app"


@pytest.mark.parametrize(
    ("state", "evidence", "hint"),
    [
        ("T", "it is suspended (state T)", "kill -CONT 4711"),
        ("S", "it sleeps (state S)", "msctl restart app"),
        ("R", "it computes (state R)", "msctl restart app"),
        ("D", "it waits for the kernel (state D)", "msctl restart app"),
    ],
)
def test_a_process_that_hangs_is_told_with_its_state(state: str, evidence: str, hint: str) -> None:
    step = chain(unhealthy("app", "no answer within 1 s", process_state=state))[-1]
    assert step.what == "it hangs: pid 4711 is alive, and GET /health had no answer within 1 s"
    assert step.evidence[0].startswith(evidence)
    assert step.hint == hint


def test_one_that_hangs_may_hang_for_a_dependency_unless_it_is_suspended() -> None:
    down = ended("db", exited("a"))
    keys: Mapping[str, Any] = {"dependencies": needs("db")}
    hangs = unhealthy("app", "no answer within 1 s", process_state="S", **keys)
    assert chain(hangs, down)[-1].service == "db"
    suspended = unhealthy("app", "no answer within 1 s", process_state="T", **keys)
    assert chain(suspended, down)[-1].service == "app"


def test_a_program_that_does_not_listen_is_told_where_it_has_to() -> None:
    step = chain(unhealthy("app", "connection refused"))[-1]
    assert step.what == "nobody listens on port 40123, though pid 4711 is alive"
    assert "PORT" in step.evidence[0]


def test_a_check_by_command_is_told_in_its_own_words() -> None:
    step = chain(unhealthy("app", "redis-cli ended with exit code 1"))[-1]
    assert step.what == "its health check fails: redis-cli ended with exit code 1"


def test_one_that_says_it_is_degraded_is_quoted() -> None:
    weak = instance("app-1", health=Health.DEGRADED, reason="answered 200, degraded")
    app = running("app", weak, health=Health.DEGRADED)
    assert chain(app)[-1].what.endswith("not at its best: answered 200, degraded")


def test_of_several_instances_the_worst_is_explained_and_a_named_one_when_asked_for() -> None:
    bad = instance("app-2", health=Health.UNHEALTHY, reason="answered 503: full")
    app = running("app", instance("app-1"), bad, health=Health.DEGRADED)
    assert told(chain(app)) == [
        ("app", "degraded for 41 s: 1 of 2 instances ready"),
        ("app-2", "its health check answered 503: full"),
    ]
    assert told(chain(app, instance="app-1")) == [
        ("app-1", "healthy for 41 s"),
        ("app", "nothing is wrong"),
    ]


def test_one_that_is_starting_again_tells_why_it_ended_before() -> None:
    runs = (exited("boom", rule=""), Run(pid=100, started=NOW - 2))
    anew = instance("app-1", status=STARTING, health=Health.UNKNOWN, restarts=1, started_at=NOW - 2)
    app = running("app", anew, status=STARTING, health=Health.UNKNOWN, runs={"app-1": runs})
    assert [what for _, what in told(chain(app))][1:] == [
        "it has been starting for 2 s of 30 s (start_timeout)",
        "exited with code 1, 10 s ago",
        'its last line: "boom"',
    ]


def test_one_that_is_starting_and_suspended_says_so() -> None:
    stopped = instance("app-1", status=STARTING, health=Health.UNKNOWN, process_state="T")
    app = running("app", stopped, status=STARTING, health=Health.UNKNOWN)
    assert chain(app)[-1].hint == "kill -CONT 4711"


def test_one_that_is_starting_and_answers_503_follows_its_dependency() -> None:
    starts = instance("app-1", status=STARTING, health=Health.UNKNOWN, reason="answered 503: no")
    app = running("app", starts, status=STARTING, health=Health.UNKNOWN, dependencies=needs("db"))
    assert chain(app, ended("db", exited("a")))[-1].service == "db"


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (
            ServiceStatus.DRAINING,
            "it finishes its calls before it stops: 3 under way, at most 10 s (drain_timeout)",
        ),
        (ServiceStatus.STOPPING, "it was told to stop and has not ended yet"),
    ],
)
def test_one_that_leaves_says_what_it_waits_for(status: ServiceStatus, what: str) -> None:
    leaves = instance("app-1", status=status, connections=3)
    app = running("app", leaves, status=status, health=Health.UNKNOWN, wanted=0)
    assert told(chain(app)) == [
        ("app", f"{status}: it is not wanted any more"),
        ("app-1", what),
    ]


# Breakers


@pytest.mark.parametrize("state", [BreakerState.FORCED_OPEN, BreakerState.FORCED_CLOSED])
def test_a_breaker_that_is_forced_is_told_with_the_way_back(state: BreakerState) -> None:
    forced = BreakerFacts(state=state, reason="by command", since=NOW - 5)
    step = chain(running("app", breaker=forced))[-1]
    assert step.what == (f"its circuit breaker is {state.replace('_', ' ')} for 5 s: by command")
    assert step.hint == "msctl breaker auto app"


def test_an_instances_breaker_is_told_under_its_own_name() -> None:
    opened = BreakerFacts(state=BreakerState.HALF_OPEN, reason="after 5 s")
    app = running("app", instance("app-1"), instance("app-2", breaker=opened))
    step = chain(app)[-1]
    assert (step.instance, step.hint) == ("app-2", "msctl breaker reset app/app-2")


def test_an_open_breaker_follows_a_dependency_that_is_down() -> None:
    opened = BreakerFacts(state=BreakerState.OPEN, reason="50 % of 20 calls failed")
    app = running("app", breaker=opened, dependencies=needs("db"))
    assert chain(app, ended("db", exited("a")))[-1].service == "db"
