"""What the last lines of a program tell."""

import textwrap

import pytest

from msctl.core.last_words import LastWords, last_words, mentions, ports_in_use
from msctl.core.why_facts import Line


def err(text: str) -> list[Line]:
    return [Line("stderr", line) for line in textwrap.dedent(text).strip("\n").splitlines()]


def out(text: str) -> list[Line]:
    return [Line("stdout", line.text) for line in err(text)]


TRACEBACK = """
    Traceback (most recent call last):
      File "/usr/lib/python3.11/runpy.py", line 198, in _run_module_as_main
        return _run_code(code, main_globals)
      File "/shop/orders.py", line 12, in connect
        raise ValueError("no DSN")
    ValueError: no DSN
"""


def test_nothing_said_is_no_words() -> None:
    assert last_words([]) is None
    assert last_words([Line("stderr", "  ")]) is None


def test_a_traceback_gives_its_error_and_the_innermost_frame() -> None:
    assert last_words(err(TRACEBACK)) == LastWords(
        text="ValueError: no DSN", places=("/shop/orders.py:12 in connect",)
    )


def test_a_traceback_tells_more_than_what_a_server_says_after_it() -> None:
    lines = [*err(TRACEBACK), Line("stderr", "ERROR:    Application startup failed. Exiting.")]
    lines[0] = Line("stderr", "ERROR:    " + lines[0].text)
    words = last_words(lines)
    assert words is not None
    assert words.text == "ValueError: no DSN"


def test_an_error_inside_a_library_names_the_programs_own_frame_too() -> None:
    words = last_words(
        err("""
        Traceback (most recent call last):
          File "/shop/orders.py", line 3, in <module>
            connect()
          File "/venv/lib/python3.11/site-packages/redis/client.py", line 559, in execute
            raise ConnectionError
        redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379.
        """)
    )
    assert words is not None
    assert words.places == (
        "/venv/lib/python3.11/site-packages/redis/client.py:559 in execute",
        "/shop/orders.py:3 in <module>",
    )


def test_chained_errors_are_told_with_what_they_followed_from() -> None:
    words = last_words(
        err("""
        Traceback (most recent call last):
          File "/shop/a.py", line 2, in f
            int("x")
        ValueError: invalid literal

        The above exception was the direct cause of the following exception:

        Traceback (most recent call last):
          File "/shop/a.py", line 4, in <module>
            raise RuntimeError("bad setting") from error
        RuntimeError: bad setting
        """)
    )
    assert words == LastWords(
        text="RuntimeError: bad setting",
        places=("/shop/a.py:4 in <module>",),
        causes=("ValueError: invalid literal",),
    )


def test_two_tracebacks_that_have_nothing_to_do_with_each_other_are_not_chained() -> None:
    words = last_words(err(TRACEBACK + TRACEBACK.replace("ValueError", "KeyError")))
    assert words is not None
    assert (words.text, words.causes) == ("KeyError: no DSN", ())


def test_a_syntax_error_names_its_line() -> None:
    words = last_words(
        err("""
        Traceback (most recent call last):
          File "/shop/main.py", line 1, in <module>
            import orders
          File "/shop/orders.py", line 7
            def f(:
                  ^
        SyntaxError: invalid syntax
        """)
    )
    assert words is not None
    assert (words.text, words.places) == ("SyntaxError: invalid syntax", ("/shop/orders.py:7",))


def test_a_traceback_that_is_cut_off_is_no_error() -> None:
    words = last_words(err(TRACEBACK)[:3])
    assert words is not None
    assert words.places == ()


def test_nodes_error_is_found_above_its_closing_line() -> None:
    words = last_words(
        err("""
        node:internal/modules/cjs/loader:1080
          throw err;
          ^

        Error: Cannot find module 'express'
            at Module._resolveFilename (node:internal/modules/cjs/loader:1077:15)
            at Object.<anonymous> (/shop/server.js:3:17) {
          code: 'MODULE_NOT_FOUND',
        }

        Node.js v18.19.0
        """)
    )
    assert words is not None
    assert words.text == "Error: Cannot find module 'express'"


def test_stderr_counts_before_stdout_and_the_last_line_before_the_others() -> None:
    lines = [*err("cannot read config\nfatal: giving up"), *out("bye")]
    assert last_words(lines) == LastWords(text="fatal: giving up")
    assert last_words(out("one\ntwo\n")) == LastWords(text="two")


def test_of_a_killed_program_the_last_line_is_where_it_was() -> None:
    lines = [*err(TRACEBACK), *out("* Ready to accept connections")]
    assert last_words(lines, killed=True) == LastWords(text="* Ready to accept connections")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        (
            (
                "Could not create server TCP listening socket 127.0.0.1:6379: bind: Address already in use\n"
                "Failed listening on port 6379 (tcp), aborting."
            ),
            (6379,),
        ),
        ("Error: listen EADDRINUSE: address already in use 127.0.0.1:8080", (8080,)),
        (
            (
                "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): "
                "address already in use"
            ),
            (98, 8000),
        ),
        (
            (
                'could not bind IPv4 address "127.0.0.1": Address already in use\n'
                "HINT: Is another postmaster already running on port 5432?"
            ),
            (5432,),
        ),
        ("Address already in use", ()),
    ],
)
def test_a_port_that_is_taken_is_found_in_what_programs_say(
    text: str, ports: tuple[int, ...]
) -> None:
    assert ports_in_use(out(text)) == ports


def test_other_lines_name_no_port_in_use() -> None:
    assert ports_in_use(out("listening on port 8000")) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("cannot reach user-service", True),
        ("user: connection refused", True),
        ("USER_SERVICE_URL does not answer", True),
        ("Error 111 connecting to localhost:8001", True),
        ("connect ECONNREFUSED ('127.0.0.1', 8001)", True),
        ("user_service is down", True),
        ("is port 8001 open?", True),
        ("superuser-service", False),
        ("localhost:18001", False),
        ("8001 orders", False),
        ("", False),
    ],
)
def test_a_text_names_a_service_by_name_variable_or_port(text: str, named: bool) -> None:  # noqa: FBT001
    assert mentions([text], "user-service", 8001) is named
