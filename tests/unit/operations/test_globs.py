import pytest

from storaged.operations.globs import BadPattern, compile_glob


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("*a*b*", "xxaxxbxx", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[^b-d]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "β", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("[\\]a]", "]", True),
        ("[x\\-]", "-", True),
        ("", "", True),
        ("", "a", False),
        ("*x", "xxx", True),
        ("*a*ab", "aab", True),
        ("*a*b*", "ab/", False),
        ("*/*", "a/b", True),
        ("a[^b]c", "a/c", True),
        ("a[.-9]c", "a/c", True),
        ("a[b-a]c", "abc", False),
        ("a[^b-a]c", "abc", True),
        ("[[&~|]-]", "~-]", True),
    ],
)
def test_patterns_match_as_in_go(pattern, text, expected) -> None:
    """Cases of Go's own ``path/filepath/match_test.go``."""
    assert compile_glob(pattern)(text) is expected


@pytest.mark.parametrize("pattern", ["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "[a-b-c]", "\\"])
def test_malformed_patterns_are_refused(pattern) -> None:
    with pytest.raises(BadPattern):
        compile_glob(pattern)


def test_many_stars_do_not_explode() -> None:
    assert not compile_glob("*a" * 500 + "b")("a" * 5000)
