import pytest

from msctl.config.secrets import is_secret, mask, mask_text, mask_urls


@pytest.mark.parametrize(
    "key",
    ["DB_PASSWORD", "password", "API_KEY", "apiKey", "AuthToken", "CLIENT_SECRET", "MYSQL_PWD",
     "AWS_CREDENTIALS"],
)  # fmt: skip
def test_a_key_that_looks_like_a_secret_is_one(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["PATH", "PWD", "DATABASE_URL", "LOG_LEVEL"])
def test_an_ordinary_key_is_none(key: str) -> None:
    assert not is_secret(key)


def test_secrets_and_what_urls_carry_are_masked() -> None:
    assert mask({"TOKEN": "abc", "URL": "pg://me:pw@host/db", "A": "1"}) == {
        "TOKEN": "***",
        "URL": "pg://***@host/db",
        "A": "1",
    }


def test_a_password_with_an_at_sign_is_masked_whole() -> None:
    assert mask_urls("see pg://u:p@ss@host/db or http://h/p@th") == (
        "see pg://***@host/db or http://h/p@th"
    )


def test_known_secrets_are_masked_in_any_text() -> None:
    assert mask_text("the hunter22 and hunter2", ["hunter2", "hunter22", "e"]) == (
        "the *** and ***"
    )
