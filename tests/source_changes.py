"""Changes one function of a module by its syntax tree, so that moved or reworded code still fits.

A pattern is a line of Python. `_` stands for any expression, and for the same expression in the
replacement. `f(...)` stands for a call of `f` with any arguments.
"""

import ast
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Edit = Callable[["_Editor", ast.AST], Any]


class Change:
    """One edit of the nodes that match a pattern."""

    def __init__(self, description: str, edit: Edit) -> None:
        self.description = description
        self._edit = edit

    def applied(self, source: str, function: str | None) -> str:
        """Return the changed source. Raises LookupError unless exactly one node matches."""
        tree = ast.parse(source)
        scope = tree if function is None else _find_function(tree, function)
        editor = _Editor(self._edit)
        editor.generic_visit(scope)
        if editor.matches != 1:
            raise LookupError(f"{self.description} matches {editor.matches} times in {function}")
        return ast.unparse(ast.fix_missing_locations(tree))


def replace(pattern: str, replacement: str) -> Change:
    """Replace an expression or a statement."""
    old, new = _parsed(pattern), _parsed(replacement)

    def edit(editor: _Editor, node: ast.AST) -> Any:
        captured = dict[str, ast.AST]()
        return editor.match(_filled(new, captured)) if _fits(old, node, captured) else node

    return Change(pattern, edit)


def remove(pattern: str) -> Change:
    """Remove a statement, an argument, or an element of a tuple or of a condition."""
    old = _parsed(pattern)

    def edit(editor: _Editor, node: ast.AST) -> Any:
        if isinstance(node, ast.Expr) and _fits(old, node.value, {}):
            return editor.match(ast.Pass())
        return editor.match(None) if editor.in_list and _fits(old, node, {}) else node

    return Change(pattern, edit)


def remove_keyword(name: str) -> Change:
    """Remove a keyword argument."""

    def edit(editor: _Editor, node: ast.AST) -> Any:
        fits = isinstance(node, ast.keyword) and node.arg == name
        return editor.match(None) if fits else node

    return Change(f"{name}=", edit)


def remove_call(method: str) -> Change:
    """Remove a call from a chain of methods: `statement.method(...)` becomes `statement`."""

    def edit(editor: _Editor, node: ast.AST) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return editor.match(node.func.value) if node.func.attr == method else node
        return node

    return Change(f".{method}()", edit)


def insert_before(pattern: str, statement: str) -> Change:
    """Insert a statement before another."""
    old, new = _parsed(pattern), ast.parse(statement).body

    def edit(editor: _Editor, node: ast.AST) -> Any:
        inner = node.value if isinstance(node, ast.Expr) else node
        fits = isinstance(node, ast.stmt) and _fits(old, inner, {})
        return editor.match([*new, node]) if fits else node

    return Change(pattern, edit)


class _Editor(ast.NodeTransformer):
    """Applies an edit to every node below the first, and counts the matches."""

    def __init__(self, edit: Edit) -> None:
        self.matches = 0
        self.in_list = False
        self._edit = edit

    def match(self, result: Any) -> Any:
        self.matches += 1
        return result

    def visit(self, node: ast.AST) -> Any:
        before = self.matches
        edited = self._edit(self, node)
        return edited if self.matches > before else self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name, value in ast.iter_fields(node):
            self.in_list = isinstance(value, list)
            if isinstance(value, list):
                setattr(node, name, [new for child in value for new in self._visited(child)])
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def _visited(self, child: Any) -> list[Any]:
        self.in_list = True
        result = self.visit(child) if isinstance(child, ast.AST) else child
        if isinstance(result, list):
            return result
        return [] if result is None and child is not None else [result]


def _find_function(tree: ast.Module, name: str) -> ast.AST:
    scope: ast.AST = tree
    for part in name.split("."):
        children = ast.iter_child_nodes(scope)
        named = [child for child in children if getattr(child, "name", None) == part]
        if len(named) != 1:
            raise LookupError(f"the module does not define {name}")
        scope = named[0]
    return scope


def _parsed(text: str) -> ast.AST:
    [statement] = ast.parse(text).body
    return statement.value if isinstance(statement, ast.Expr) else statement


def _fits(pattern: Any, node: Any, captured: dict[str, ast.AST]) -> bool:
    """Report whether a node has the shape of a pattern; put what `_` matched into `captured`."""
    if isinstance(pattern, ast.Name) and pattern.id == "_" and isinstance(node, ast.expr):
        captured["_"] = node
        return True
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, ast.Call) and _takes_any_arguments(pattern):
        return _fits(pattern.func, node.func, captured)
    if isinstance(pattern, list):
        return len(pattern) == len(node) and all(
            _fits(old, new, captured) for old, new in zip(pattern, node, strict=True)
        )
    if isinstance(pattern, ast.AST):
        return all(
            _fits(value, getattr(node, field), captured)
            for field, value in ast.iter_fields(pattern)
        )
    return bool(pattern == node)


def _takes_any_arguments(call: ast.Call) -> bool:
    return bool(call.args) and ast.unparse(call.args[0]) == "..."


def _filled(replacement: ast.AST, captured: dict[str, ast.AST]) -> ast.AST:
    """Return a replacement with what `_` matched in the place of `_`."""

    class Filler(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.AST:
            return captured.get(name.id, name)

    filled: ast.AST = Filler().visit(deepcopy(replacement))
    return filled
