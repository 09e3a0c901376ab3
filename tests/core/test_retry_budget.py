from msctl.core.retry_budget import RetryBudget


def drawn(budget: RetryBudget, now: float) -> int:
    count = 0
    while budget.try_withdraw(now):
        count += 1
    return count


def test_without_traffic_ten_per_second_over_ten_seconds_can_be_retried() -> None:
    assert drawn(RetryBudget(), 0) == 100


def test_a_fifth_of_the_requests_can_be_retried_besides() -> None:
    budget = RetryBudget(min_per_second=0)
    for _ in range(5):
        budget.deposit(0)
    assert drawn(budget, 0) == 1
    for _ in range(495):
        budget.deposit(1)
    assert drawn(budget, 1) == 99


def test_a_refused_withdrawal_takes_nothing() -> None:
    budget = RetryBudget(min_per_second=0)
    for _ in range(4):
        budget.deposit(0)
    assert not budget.try_withdraw(0)
    budget.deposit(0)
    assert budget.try_withdraw(0)


def test_what_is_older_than_the_window_neither_gives_nor_takes() -> None:
    budget = RetryBudget(min_per_second=0)
    for _ in range(50):
        budget.deposit(0)
    assert drawn(budget, 9.9) == 10
    assert drawn(budget, 10) == 0
    assert RetryBudget().balance(0) == 100


def test_with_neither_share_nor_minimum_nothing_is_retried() -> None:
    budget = RetryBudget(ratio=0, min_per_second=0)
    budget.deposit(0)
    assert not budget.try_withdraw(0)
