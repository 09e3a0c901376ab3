from msctl.render.style import Style
from msctl.render.table import Cell, Column, layout

COLUMNS = (Column("NAME"), Column("URL", drop=1), Column("AGE", drop=2, right=True))
ROWS = [
    [Cell("order-service", Style.GOOD), Cell("http://localhost:8002"), Cell("5s")],
    [Cell("a"), Cell("-"), Cell("12s")],
]


def test_in_a_pipe_nothing_is_left_out_and_no_line_ends_in_blanks() -> None:
    lines = layout(COLUMNS, ROWS, width=None, decorated=False)
    assert lines == [
        "NAME           URL                    AGE",
        "order-service  http://localhost:8002   5s",
        "a              -                      12s",
    ]


def test_columns_are_dropped_before_anything_is_cut_off() -> None:
    lines = layout(COLUMNS, ROWS, width=40, decorated=False)
    assert lines[0].split() == ["NAME", "URL"]
    lines = layout(COLUMNS, ROWS, width=30, decorated=False)
    assert lines[0].split() == ["NAME"]


def test_the_name_is_shortened_last_and_visibly() -> None:
    lines = layout(COLUMNS, ROWS, width=8, decorated=False)
    assert lines == ["NAME", "order-s…", "a"]


def test_colour_does_not_move_columns() -> None:
    plain = layout(COLUMNS, ROWS, width=None, decorated=False)
    coloured = layout(COLUMNS, ROWS, width=None, decorated=True)
    assert "\x1b[32morder-service\x1b[0m" in coloured[1]
    assert coloured[1].replace("\x1b[32m", "").replace("\x1b[0m", "") == plain[1]


def test_a_table_without_rows_has_its_heading() -> None:
    assert layout(COLUMNS, [], width=None, decorated=False) == ["NAME  URL  AGE"]
