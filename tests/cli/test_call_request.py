import pytest

from msctl.cli.call_request import BodySource, CallRequest, build_request
from msctl.cli.call_verdict import exit_code, refusal_message
from msctl.errors import UsageError


def request(*arguments: str, **options: list[str]) -> CallRequest:
    service, method, path, *body = arguments
    return build_request(
        service,
        method,
        path,
        body[0] if body else None,
        headers=options.get("headers", []),
        query=options.get("query", []),
    )


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/users", [], "/call/user/users"),
        ("users", [], "/call/user/users"),
        ("/a?x=1", ["y=2"], "/call/user/a?x=1&y=2"),
        ("/a", ["q=two words&more", "q="], "/call/user/a?q=two+words%26more&q="),
        ("/ä b/%20", [], "/call/user/%C3%A4%20b/%20"),
        ("/a#b\r\nX: y", [], "/call/user/a%23b%0D%0AX:%20y"),
    ],
)
def test_the_target_is_a_safe_request_target(path: str, query: list[str], target: str) -> None:
    assert request("user", "get", path, query=query).target == target


def test_the_method_is_written_in_capitals() -> None:
    assert request("user", "delete", "/").method == "DELETE"


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n"])
def test_a_bad_method_is_refused(method: str) -> None:
    with pytest.raises(UsageError):
        request("user", method, "/")


@pytest.mark.parametrize("header", ["", "no colon", ": empty", "A: b\r\nC: d", "A b: c"])
def test_a_bad_header_is_refused(header: str) -> None:
    with pytest.raises(UsageError):
        request("user", "GET", "/", headers=[header])


def test_a_query_without_equals_is_refused() -> None:
    with pytest.raises(UsageError):
        request("user", "GET", "/", query=["x"])


def test_text_is_json_unless_the_user_says_otherwise() -> None:
    plain = request("user", "POST", "/", '{"a": 1}')
    assert ("Content-Type", "application/json") in plain.header_fields(plain.read_body())
    other = request("user", "POST", "/", "a", headers=["content-type: text/plain"])
    fields = other.header_fields(b"a")
    assert [v for k, v in fields if k.lower() == "content-type"] == ["text/plain"]
    assert not other.doubtful
    assert request("user", "POST", "/", "a").doubtful


def test_a_file_is_sent_as_what_its_name_says() -> None:
    fields = request("user", "PUT", "/", "@picture.png").header_fields(b"x")
    assert ("Content-Type", "image/png") in fields


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: object) -> None:
    with pytest.raises(UsageError, match="No such file"):
        request("user", "POST", "/", f"@{tmp_path}/none").read_body()
    with pytest.raises(UsageError, match="directory"):
        request("user", "POST", "/", f"@{tmp_path}").read_body()


def test_a_dash_is_stdin_and_get_has_no_body_of_itself() -> None:
    assert request("user", "GET", "/", "-").source is BodySource.STDIN
    assert request("user", "GET", "/").source is BodySource.NONE


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (200, None, 0),
        (301, None, 0),
        (404, None, 22),
        (503, None, 22),
        (503, "no_instances", 7),
        (502, "connect_failed", 7),
        (504, "timeout", 28),
        (503, "breaker_open", 75),
        (503, "overloaded", 75),
        (404, "unknown_service", 2),
        (502, "upstream_reset", 22),
        (502, "bad_response", 22),
        (508, "loop", 22),
    ],
)
def test_exit_codes(status: int, reason: str | None, code: int) -> None:
    assert exit_code(status, reason, no_fail=False) == code
    assert exit_code(status, reason, no_fail=True) == (0 if code == 22 else code)


def test_a_refusal_says_why_and_what_next() -> None:
    body = b'{"reason": "breaker_open", "detail": "open since 3 s", "retry_after": 2}'
    message = refusal_message("order", "breaker_open", body)
    assert (
        message == "order: breaker_open: open since 3 s; try again in 2 s; see: msctl status order"
    )
    assert "no answer in time" in refusal_message("order", "timeout", b"not json")
