"""Checks quickly that every mutation fits today's source and names a test that exists."""

import ast
from pathlib import Path

import pytest

from tests.mutations import MUTATIONS, Mutation
from tests.source_changes import (
    Change,
    insert_before,
    remove,
    remove_call,
    remove_keyword,
    replace,
)

SOURCE = """
class Box:
    def put(self, value, size=1):
        if value is None and size:
            return self.insert(value).limit(size)
        self.check(value, strict=True)
"""

each_mutation = pytest.mark.parametrize(
    "mutation", MUTATIONS, ids=[mutation.guard for mutation in MUTATIONS]
)


@each_mutation
def test_mutation_changes_its_function(mutation: Mutation) -> None:
    unchanged = ast.unparse(ast.parse(mutation.path.read_text()))

    assert mutation.source_without_guard() != unchanged


@each_mutation
def test_mutation_names_a_test_that_exists(mutation: Mutation) -> None:
    path, _, function = mutation.test.partition("::")
    functions = [getattr(node, "name", "") for node in ast.parse(Path(path).read_text()).body]

    assert function in functions if function else any(map(is_test, functions))


def is_test(function: str) -> bool:
    return function.startswith("test_")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (replace("value is None", "False"), "if False and size:"),
        (replace("_ and size", "not _"), "if not value is None:"),
        (replace("self.check(...)", "self.close()"), "self.close()"),
        (remove("self.check(...)"), "pass"),
        (remove("size"), None),
        (remove_call("limit"), "return self.insert(value)"),
        (remove_keyword("strict"), "self.check(value)"),
        (insert_before("return _", "self.open()"), "self.open()"),
    ],
    ids=lambda value: getattr(value, "description", ""),
)
def test_change_edits_the_one_match(change: Change, changed: str | None) -> None:
    if changed is None:  # `size` stands in the condition and in the call
        with pytest.raises(LookupError, match="matches 2 times"):
            change.applied(SOURCE, "Box.put")
    else:
        lines = change.applied(SOURCE, "Box.put").splitlines()
        assert changed in map(str.strip, lines)


@pytest.mark.parametrize("function", ["Box.get", "put"])
def test_change_of_an_unknown_function_fails(function: str) -> None:
    with pytest.raises(LookupError, match="does not define"):
        remove("self.check(...)").applied(SOURCE, function)


def test_change_without_a_match_fails() -> None:
    with pytest.raises(LookupError, match="matches 0 times"):
        remove("self.open()").applied(SOURCE, "Box.put")
